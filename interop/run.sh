#!/usr/bin/env bash
# Other people's OAuth clients, unmodified, against the binary: installs them, starts a server of its own on loopback,
# runs every flow and ends with one line of counts. Fails when a flow does.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
root=$(cd .. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

scratch=$(mktemp -d)
server=
stop() {
    if [[ -n $server ]] && kill "$server" 2>/dev/null; then
        wait "$server" || true
    fi
    server=
}
finish() {
    stop
    rm -rf "$scratch"
}
trap finish EXIT

echo "installing the clients"
(cd node && npm ci --silent --no-audit --no-fund)
requirements=$(cksum <python/requirements.txt)
if [[ $(cat python/.venv/installed 2>/dev/null) != "$requirements" ]]; then
    if ! python3 -m venv --clear python/.venv 2>"$scratch/venv.log"; then
        cat "$scratch/venv.log" >&2
        exit 1
    fi
    python/.venv/bin/pip install --quiet --disable-pip-version-check --requirement python/requirements.txt
    echo "$requirements" >python/.venv/installed
fi
# Its own lock file and its own directory: nothing of it reaches the product's build.
(cd rust && CARGO_TARGET_DIR="$target/interop" cargo build --quiet --locked)
(cd "$root" && cargo build --quiet --package bastionary)

admin_id=interop-admin
admin_secret=$(head -c 32 /dev/urandom | base64 | tr -d '+/=\n')
certificate=$scratch/certificate.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=interop \
    -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
    -keyout "$scratch/key.pem" -out "$certificate" 2>"$scratch/openssl.log" || { cat "$scratch/openssl.log" >&2; exit 1; }

# try_start http|https NUMBER: sets `issuer` and `server`.
try_start() {
    local scheme=$1 data="$scratch/data-$1-$2" port tls=()
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    issuer=$scheme://127.0.0.1:$port
    if [[ $scheme == https ]]; then
        tls=(BASTIONARY_TLS_CERT_FILE="$certificate" BASTIONARY_TLS_KEY_FILE="$scratch/key.pem")
    fi
    mkdir "$data"
    # A configuration meant for another server must not leak into this one.
    env --ignore-environment PATH="$PATH" HOME="$scratch" "${tls[@]}" \
        BASTIONARY_ADMIN_CLIENT_ID="$admin_id" BASTIONARY_ADMIN_CLIENT_SECRET="$admin_secret" \
        BASTIONARY_MANAGEMENT_LISTEN=off BASTIONARY_LOG=warn BASTIONARY_OUTBOUND_ALLOW=127.0.0.1 \
        "$target/debug/bastionary" serve --listen "127.0.0.1:$port" --data-dir "$data" >"$scratch/server.log" 2>&1 &
    server=$!
    for _ in $(seq 150); do
        if curl --silent --fail --cacert "$certificate" --output /dev/null "$issuer/readyz"; then
            return 0
        fi
        if ! kill -0 "$server" 2>/dev/null; then
            break
        fi
        sleep 0.1
    done
    stop
    return 1
}

# A server with the clients that the scripts use; their names are in the environment then.
start() {
    # The system picks the port; until the server has it another process could take it, hence the second try.
    if ! try_start "$1" first && ! try_start "$1" second; then
        echo "the server does not start:" >&2
        cat "$scratch/server.log" >&2
        exit 1
    fi
    SSL_CERT_FILE=$certificate python3 setup.py "$issuer" "$admin_id" "$admin_secret" >"$scratch/environment"
    # shellcheck source=/dev/null
    source "$scratch/environment"
}

passed=0
failed=0
# Every script prints a line for each flow and `end` when it came to its end; one that stops before has failed.
run() {
    local name=$1 output="$scratch/output"
    shift
    "$@" >"$output" || true
    grep -v -x end "$output" || true
    passed=$((passed + $(grep -c '^ok ' "$output" || true)))
    failed=$((failed + $(grep -c '^not ok ' "$output" || true)))
    if ! grep -q -x end "$output"; then
        echo "not ok $name stopped before its end"
        failed=$((failed + 1))
        cat "$scratch/server.log" >&2
    fi
}

run snippets python3 snippets/run.py curl cli node python rust
start http
export MESSAGES=$scratch/messages.json
python3 messages.py "$issuer" "$admin_id" "$admin_secret" >"$MESSAGES"
for script in openid-client oauth4webapi jose standardwebhooks openmeter; do
    run "$script" node "node/$script.js"
done
for script in pyjwt_client authlib_client requests_oauthlib_client standardwebhooks_client cloudevents_client; do
    run "$script" "$here/python/.venv/bin/python" "python/$script.py"
done
stop
# The crate `oauth2` revokes over TLS only (RFC 7009 section 2).
start https
CERTIFICATE=$certificate run oauth2 "$target/interop/debug/interop"
stop

echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
