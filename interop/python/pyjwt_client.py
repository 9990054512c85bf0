"""PyJWT: a resource server that verifies access tokens offline against the published keys."""

import jwt
import requests

from flows import CLIENT, DEFAULT_AUDIENCE, ISSUER, JWKS, RESOURCE, TOKEN, equal, flow, refused, run_all

keys = jwt.PyJWKClient(JWKS)


def token(**parameters):
    answer = requests.post(TOKEN, {"grant_type": "client_credentials", **parameters}, auth=CLIENT, timeout=30)
    answer.raise_for_status()
    return answer.json()["access_token"]


def decode(text, audience):
    key = keys.get_signing_key_from_jwt(text)
    required = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]
    return jwt.decode(
        text, key, algorithms=["ES256"], audience=audience, issuer=ISSUER, options={"require": required}
    )


def verifies():
    text = token(resource=RESOURCE, scope="invoices:read")
    equal(jwt.get_unverified_header(text)["typ"], "at+jwt")
    claims = decode(text, RESOURCE)
    equal(claims["sub"], CLIENT[0])
    equal(claims["client_id"], CLIENT[0])
    equal(claims["scope"], "invoices:read")


def other_audience():
    text = token(scope="read")
    refused(jwt.InvalidAudienceError, lambda: decode(text, RESOURCE))
    equal(decode(text, DEFAULT_AUDIENCE)["aud"], DEFAULT_AUDIENCE)


def other_issuer():
    text = token(scope="read")
    key = keys.get_signing_key_from_jwt(text)
    refused(
        jwt.InvalidIssuerError,
        lambda: jwt.decode(
            text, key, algorithms=["ES256"], audience=DEFAULT_AUDIENCE, issuer="https://elsewhere.example"
        ),
    )


flow("verification with issuer and audience", verifies)
flow("the audience of another API is refused", other_audience)
flow("another issuer is refused", other_issuer)
run_all("PyJWT")
