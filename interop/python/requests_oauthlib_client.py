"""requests-oauthlib, which does not form-encode the halves of Basic."""

import os

# The server listens on loopback without TLS; the library asks for this switch.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749.errors import InvalidClientError, InvalidGrantError, InvalidScopeError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from flows import CHOSEN, CLIENT, OTHER, TOKEN, equal, flow, refused, run_all


def session(who, scope=None):
    return OAuth2Session(client=BackendApplicationClient(client_id=who[0], scope=scope), scope=scope)


def with_basic(who, scope=None):
    with session(who, scope) as client:
        return client.fetch_token(TOKEN, auth=HTTPBasicAuth(*who))


def with_body(who, scope=None):
    with session(who, scope) as client:
        return client.fetch_token(TOKEN, client_secret=who[1], include_client_id=True)


def both_scopes(token):
    equal(sorted(token["scope"]), ["read", "write"])
    equal(token["token_type"].lower(), "bearer")


def refresh():
    with session(CLIENT, ["read"]) as client:
        first = dict(client.fetch_token(TOKEN, auth=HTTPBasicAuth(*CLIENT)))
        second = client.refresh_token(TOKEN, auth=HTTPBasicAuth(*CLIENT))
        equal(second["refresh_token"] != first["refresh_token"], True)
        equal(second["access_token"] != first["access_token"], True)
        equal(second["scope"], ["read"])


def refresh_with_body():
    with session(CLIENT, ["read"]) as client:
        first = dict(client.fetch_token(TOKEN, client_secret=CLIENT[1], include_client_id=True))
        second = client.refresh_token(TOKEN, client_id=CLIENT[0], client_secret=CLIENT[1])
        equal(second["refresh_token"] != first["refresh_token"], True)


def refresh_of_another():
    token = with_basic(CLIENT)
    with session(OTHER) as client:
        refused(
            InvalidGrantError,
            lambda: client.refresh_token(TOKEN, token["refresh_token"], auth=HTTPBasicAuth(*OTHER)),
        )


def errors():
    error = refused(InvalidScopeError, lambda: with_basic(CLIENT, ["nobody:knows"]))
    equal(bool(error.description), True)
    wrong = (CLIENT[0], OTHER[1])
    refused(InvalidClientError, lambda: with_basic(wrong))
    refused(InvalidClientError, lambda: with_body(wrong))


for shown, get in {"Basic": with_basic, "body credentials": with_body}.items():
    flow(f"client_credentials with {shown}", lambda g=get: both_scopes(g(CLIENT, ["read", "write"])))
    for secret, hand in CHOSEN.items():
        flow(f"chosen secret with {secret}, {shown}", lambda g=get, w=hand: both_scopes(g(w)))
flow("refresh with Basic", refresh)
flow("refresh with body credentials", refresh_with_body)
flow("refresh token of another client", refresh_of_another)
flow("errors as exceptions", errors)
run_all("requests-oauthlib")
