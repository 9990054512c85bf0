"""Authlib, which does not form-encode the halves of Basic."""

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from flows import CHOSEN, CLIENT, INTROSPECT, OTHER, RESOURCE, REVOKE, TOKEN, equal, flow, refused, run_all

METHODS = ("client_secret_basic", "client_secret_post")


def session(who, method, **options):
    return OAuth2Session(
        *who, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method, **options
    )


def client_credentials(who, method):
    with session(who, method, scope="read write") as client:
        token = client.fetch_token(TOKEN, grant_type="client_credentials")
        equal(token["token_type"].lower(), "bearer")
        equal(sorted(token["scope"].split()), ["read", "write"])
        equal(token.is_expired(), False)


def refresh(who, method):
    with session(who, method, scope="read") as client:
        first = client.fetch_token(TOKEN, grant_type="client_credentials")
        second = client.refresh_token(TOKEN, refresh_token=first["refresh_token"])
        equal(second["scope"], "read")
        equal(second["refresh_token"] != first["refresh_token"], True)
        equal(client.introspect_token(INTROSPECT, token=second["access_token"]).json()["active"], True)


def introspect_and_revoke(who, method):
    with session(who, method) as client:
        text = client.fetch_token(TOKEN, grant_type="client_credentials")["access_token"]
        before = client.introspect_token(INTROSPECT, token=text, token_type_hint="access_token").json()
        equal((before["active"], before["client_id"]), (True, who[0]))
        answer = client.revoke_token(REVOKE, token=text, token_type_hint="access_token")
        equal((answer.status_code, answer.content), (200, b""))
        equal(client.introspect_token(INTROSPECT, token=text).json(), {"active": False})


def resource():
    with session(CLIENT, METHODS[0]) as client:
        token = client.fetch_token(TOKEN, grant_type="client_credentials", resource=RESOURCE, scope="invoices:read")
        equal(client.introspect_token(INTROSPECT, token=token["access_token"]).json()["aud"], RESOURCE)


def errors(method):
    with session(CLIENT, method, scope="nobody:knows") as client:
        error = refused(OAuthError, lambda: client.fetch_token(TOKEN, grant_type="client_credentials"))
        equal(error.error, "invalid_scope")
    with session((CLIENT[0], OTHER[1]), method) as client:
        error = refused(OAuthError, lambda: client.fetch_token(TOKEN, grant_type="client_credentials"))
        equal(error.error, "invalid_client")


for each in METHODS:
    flow(f"client_credentials with {each}", lambda m=each: client_credentials(CLIENT, m))
    flow(f"refresh with {each}", lambda m=each: refresh(CLIENT, m))
    flow(f"introspection and revocation with {each}", lambda m=each: introspect_and_revoke(CLIENT, m))
    flow(f"errors with {each}", lambda m=each: errors(m))
    for shown, hand in CHOSEN.items():
        flow(f"chosen secret with {shown}, {each}", lambda m=each, w=hand: client_credentials(w, m))
        flow(
            f"introspection and revocation, chosen secret with {shown}, {each}",
            lambda m=each, w=hand: introspect_and_revoke(w, m),
        )
flow("resource", resource)
run_all("authlib")
