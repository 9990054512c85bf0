# What the blocks of a document find: the binary, a port, and after `demo` the credentials of the demo clients.
set -euo pipefail

server=
last=/dev/null

# A configuration meant for another server must not leak into this one.
for name in "${!BASTIONARY_@}"; do
    unset "$name"
done
export BASTIONARY_ISSUER="http://127.0.0.1:$PORT" BASTIONARY_MANAGEMENT_LISTEN=off
export PATH="$BINARIES:$PATH"

# An answer that is an error is a failure of the block.
curl() {
    command curl --silent --show-error --fail-with-body "$@"
}

# The documents name the default port; in a test the system picks one.
bastionary() {
    case ${1-} in
    dev | serve) exec bastionary "$@" --listen "127.0.0.1:$PORT" ;;
    # it stays until it is ended by its id
    listen) exec bastionary "$@" ;;
    *) command bastionary "$@" ;;
    esac
}

# The suite has built the binary already.
cargo() {
    if [[ $* == "run --release -- "* ]]; then
        shift 3
        bastionary "$@"
    else
        command cargo "$@"
    fi
}

# The text of a member in what the last block printed.
json() {
    grep -o "\"$1\": *\"[^\"]*\"" "$last" | head -n 1 | sed 's/.*: *"//; s/"$//'
}

stop() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
        server=
    fi
}
trap stop EXIT

# Waits until the server that was started answers, and until `dev` has said everything.
ready() {
    for _ in $(seq 300); do
        if command curl --silent --fail --output /dev/null "http://127.0.0.1:$PORT/readyz"; then
            if [[ $1 == serve ]] || grep -q "Stop with Ctrl-C" "$2"; then
                return
            fi
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server did not start" >&2
    exit 1
}

# The credentials that `dev` printed, as a reader copies them.
credentials() {
    CLIENT_ID=demo
    CLIENT_SECRET=$(sed -n 's/^ *client_secret *//p' "$1" | head -n 1)
    ADMIN_ID=demo-admin
    ADMIN_SECRET=$(grep -o "demo-admin:bst_cs_[0-9A-Za-z]*" "$1" | head -n 1 | cut -d: -f2)
    (umask 077 && echo "$ADMIN_SECRET" >admin-secret.txt)
}

# The member of a JSON text on standard input.
member() {
    sed "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/"
}

# Asks for a token: which member of the answer, id, secret, and further parameters.
issued() {
    local what=$1 who=$2:$3
    shift 3
    curl -u "$who" "http://127.0.0.1:$PORT/oauth2/token" -d grant_type=client_credentials "$@" | member "$what"
}

# An administrator's POST: path below the API, body.
post() {
    curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" "http://127.0.0.1:$PORT/api/$1" -d "$2"
}

# The secret of a new client: its id, further members.
client() {
    post clients "{\"client_id\": \"$1\", ${2#\{}" | member client_secret
}

# A server with demo clients, for chapters that begin where one runs already.
demo() {
    bastionary dev --data-dir bastionary-data >dev.out 2>dev.err &
    server=$!
    ready dev dev.out
    credentials dev.out
    TOKEN=$(issued access_token "$ADMIN_ID" "$ADMIN_SECRET" -d scope=admin)
    ACCESS_TOKEN=$(issued access_token "$CLIENT_ID" "$CLIENT_SECRET")
}

# Tokens for the API that the verifying snippets are written for, and one for another API.
orders() {
    local id secret
    if [[ -n ${GOOD-} ]]; then
        return
    fi
    id=$(post apis '{"identifier": "https://orders.example.com"}' | member id)
    post "apis/$id/scopes" '{"name": "orders:read"}' >/dev/null
    secret=$(client orders '{"scopes": ["orders:read"]}')
    GOOD=$(issued access_token orders "$secret" -d scope=orders:read)
    OTHER=$ACCESS_TOKEN
    export GOOD OTHER
}
