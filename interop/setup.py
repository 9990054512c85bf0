"""Creates over the admin API what the client scripts need, and prints it as lines for a shell to read.

Only the standard library is used: what is tested here is the server against clients that know nothing of it.
"""

import json
import shlex
import sys
import urllib.parse
import urllib.request
from base64 import b64encode

RESOURCE = "https://invoices.example"

# Reserved characters, once with escapes that are none and once with escapes that decode to something else: libraries
# that form-encode the halves of Basic (RFC 6749 section 2.3.1) and libraries that do not must both get in.
CHOSEN_SECRETS = {
    "BROKEN_ESCAPES": "p@ss:w%rd+with&reserved=/chars?",
    "VALID_ESCAPES": "rate%20is+5%25=fine&ok:yes/no?#~",
}


def call(issuer, path, body, authorization, content_type):
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


def main():
    issuer, admin_id, admin_secret = sys.argv[1:]
    basic = "Basic " + b64encode(f"{admin_id}:{admin_secret}".encode()).decode()
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "admin"})
    token = call(issuer, "/oauth2/token", form, basic, "application/x-www-form-urlencoded")["access_token"]

    def create(path, body):
        return call(issuer, path, json.dumps(body), f"Bearer {token}", "application/json")

    api = create("/api/apis", {"identifier": RESOURCE, "name": "Invoices"})
    create(f"/api/apis/{api['id']}/scopes", {"name": "invoices:read", "description": "Read invoices"})

    machine = {"scopes": ["read", "write"], "grant_types": ["client_credentials", "refresh_token"]}
    client = create(
        "/api/clients",
        {**machine, "scopes": ["read", "write", "invoices:read"], "default_scopes": ["read", "write"]},
    )
    other = create("/api/clients", machine)
    values = {
        "ISSUER": issuer,
        "RESOURCE": RESOURCE,
        "CLIENT_ID": client["client_id"],
        "CLIENT_SECRET": client["client_secret"],
        "OTHER_CLIENT_ID": other["client_id"],
        "OTHER_CLIENT_SECRET": other["client_secret"],
    }
    for name, secret in CHOSEN_SECRETS.items():
        client_id = f"chosen.by~hand-{name}"
        create("/api/clients", {**machine, "client_id": client_id, "client_secret": secret})
        values[f"{name}_ID"] = client_id
        values[f"{name}_SECRET"] = secret
    create("/api/meters", {"key": "calls", "event_type": "api.call", "aggregation": "count"})
    create("/api/meters", {"key": "tokens", "event_type": "llm.call", "aggregation": "sum", "value_path": "$.tokens"})
    for customer in ("openmeter", "cloudevents"):
        create("/api/customers", {"name": customer.title(), "external_id": customer})
    reporter = create("/api/clients", {"scopes": ["usage:write", "billing:read"]})
    values["REPORTER_ID"] = reporter["client_id"]
    values["REPORTER_SECRET"] = reporter["client_secret"]
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")


main()
