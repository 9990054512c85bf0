"""Runs flows one after the other and says of each how it went."""

import os
import traceback

ISSUER = os.environ["ISSUER"]
RESOURCE = os.environ["RESOURCE"]
DEFAULT_AUDIENCE = f"{ISSUER}/apis/default"
TOKEN = f"{ISSUER}/oauth2/token"
INTROSPECT = f"{ISSUER}/oauth2/introspect"
REVOKE = f"{ISSUER}/oauth2/revoke"
JWKS = f"{ISSUER}/.well-known/jwks.json"
CLIENT = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
OTHER = (os.environ["OTHER_CLIENT_ID"], os.environ["OTHER_CLIENT_SECRET"])
CHOSEN = {
    name.lower().replace("_", " "): (os.environ[f"{name}_ID"], os.environ[f"{name}_SECRET"])
    for name in ("BROKEN_ESCAPES", "VALID_ESCAPES")
}

_flows = []


def flow(name, run):
    """Adds a flow: a name and what runs without arguments and raises when it fails."""
    _flows.append((name, run))


def run_all(library):
    """Runs every flow that was added."""
    for name, run in _flows:
        try:
            run()
            print(f"ok {library} {name}", flush=True)
        except Exception as error:  # whatever a library raises
            text = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"not ok {library} {name}: {text}", flush=True)
            traceback.print_exc()
    print("end")


def equal(actual, expected):
    """Raises unless both are the same."""
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


def refused(kind, call):
    """Calls, and gives the error of this kind that it raised."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("it was accepted")
