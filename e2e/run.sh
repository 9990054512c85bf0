#!/usr/bin/env bash
# The console in a browser, against the binary: installs what it needs, starts servers of its own on loopback and runs
# every test. With E2E_SCREENSHOTS=1 it also draws the pictures of docs/images.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd .. && pwd)

npm ci --silent --no-audit --no-fund
(cd "$root" && cargo build --quiet --package bastionary)
export BASTIONARY_BINARY="${CARGO_TARGET_DIR:-$root/target}/debug/bastionary"
# The pages of a test have bounds of their own; this one is for what they cannot see.
exec timeout --kill-after=10 300 node --test --test-concurrency=2 --test-reporter=spec ./*.test.js
