#!/usr/bin/env bash
# The console in a browser, against the binary: installs what it needs, starts servers of its own on loopback and runs
# every test. With E2E_SCREENSHOTS=1 it also draws the pictures of docs/images.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd .. && pwd)

npm ci --silent --no-audit --no-fund
(cd "$root" && cargo build --quiet --package bastionary)
export BASTIONARY_BINARY="${CARGO_TARGET_DIR:-$root/target}/debug/bastionary"
# Every step of a test has a bound of its own; this one is for what they cannot see.
bounded() {
    timeout --kill-after=10 900 node --test --test-concurrency=2 --test-reporter=spec "$@"
}
bounded ./*.test.js
if [[ ${E2E_SCREENSHOTS:-} == 1 ]]; then
    bounded pictures.js
fi
