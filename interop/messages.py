"""Receives messages of the server's webhooks on loopback and prints them as JSON for the scripts that verify them.

Only the standard library is used: what verifies is other people's. An endpoint that signs in both ways gets messages
before a roll of its keys and during the overlap; the first attempt of all is refused, so that it comes again.
"""

import json
import sys
import threading
import time
import urllib.parse
import urllib.request
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_SECONDS = 60

received = []
arrived = threading.Condition()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with arrived:
            received.append({"headers": headers, "body": body})
            is_first = len(received) == 1
            arrived.notify_all()
        self.send_response(500 if is_first else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for(count):
    """Waits until so many messages have come."""
    end = time.monotonic() + PATIENCE_SECONDS
    with arrived:
        while len(received) < count:
            if not arrived.wait(end - time.monotonic()):
                sys.exit(f"{len(received)} of {count} messages came within {PATIENCE_SECONDS} s")


def call(issuer, path, body, authorization, content_type="application/json"):
    request = urllib.request.Request(
        issuer + path,
        data=body.encode(),
        headers={"Authorization": authorization, "Content-Type": content_type},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"POST {path} answered {error.code}: {error.read().decode()}")


def token(issuer, client_id, secret):
    basic = "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "admin"})
    answer = call(issuer, "/oauth2/token", form, basic, "application/x-www-form-urlencoded")
    return "Bearer " + answer["access_token"]


def main():
    issuer, admin_id, admin_secret = sys.argv[1:]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    # plain HTTP is for a sandbox
    made = call(
        issuer,
        "/api/tenants",
        json.dumps({"slug": "hooks", "kind": "sandbox"}),
        token(issuer, admin_id, admin_secret),
    )["admin_client"]
    sandbox = f"{issuer}/t/hooks"
    bearer = token(sandbox, made["client_id"], made["client_secret"])

    def post(path, body=None):
        return call(sandbox, path, "{}" if body is None else json.dumps(body), bearer)

    url = f"http://127.0.0.1:{server.server_port}/in?from=interop"
    endpoint = post("/api/webhooks", {"url": url, "types": ["client.*"], "signing": "both"})
    own = f"/api/webhooks/{endpoint['id']}"
    post("/api/clients", {"client_id": "first", "name": "Zoë & 'quotes' \\ \"marks\""})
    wait_for(2)
    before = len(received)
    rolled = post(f"{own}/roll-secret", {"overlap_seconds": 3600})
    post("/api/clients", {"client_id": "second"})
    wait_for(before + 1)
    listed = urllib.request.Request(f"{sandbox}{own}/deliveries?status=delivered", headers={"Authorization": bearer})
    with urllib.request.urlopen(listed, timeout=30) as answer:
        oldest = json.load(answer)["data"][-1]["id"]
    post(f"{own}/deliveries/{oldest}/resend")
    wait_for(before + 2)
    keys = [{"secret": made["secret"], "public_key": made["public_key"]} for made in (endpoint, rolled)]
    print(json.dumps({"old": keys[0], "new": keys[1], "before": received[:before], "overlap": received[before:]}))


main()
