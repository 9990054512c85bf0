"""The package `standardwebhooks`, and Ed25519 of `cryptography`, over messages that the server has sent."""

import json
import os
import time
from base64 import b64decode
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flows import flow, run_all
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

MESSAGES = json.loads(Path(os.environ["MESSAGES"]).read_text())
OLD, NEW, BEFORE, OVERLAP = (MESSAGES[name] for name in ("old", "new", "before", "overlap"))
FOREIGN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def is_good(secret, message):
    try:
        event = Webhook(secret).verify(message["body"], message["headers"])
    except WebhookVerificationError:
        return False
    return event["id"] == message["headers"]["webhook-id"]


def tampered(message):
    """What must be refused of a message."""
    headers, body = message["headers"], message["body"]
    yield {"headers": headers, "body": body.replace('"client"', '"Client"')}
    yield {"headers": {**headers, "webhook-id": "evt_other"}, "body": body}
    for seconds in (-301, 301):
        yield {"headers": {**headers, "webhook-timestamp": str(int(time.time()) + seconds)}, "body": body}


def has_good_key(keys, message):
    public = Ed25519PublicKey.from_public_bytes(b64decode(keys["public_key"].removeprefix("whpk_")))
    headers = message["headers"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{message['body']}".encode()
    for signature in headers["webhook-signature"].split():
        scheme, text = signature.split(",")
        if scheme == "v1a":
            try:
                public.verify(b64decode(text), signed)
            except InvalidSignature:
                continue
            return True
    return False


def before_the_roll():
    assert len(BEFORE) == 2
    assert all(is_good(OLD["secret"], message) and not is_good(NEW["secret"], message) for message in BEFORE)


def in_the_overlap():
    assert len(OVERLAP) == 2
    assert all(is_good(keys["secret"], message) for keys in (OLD, NEW) for message in OVERLAP)


def refused():
    for message in BEFORE + OVERLAP:
        assert not is_good(FOREIGN, message)
        assert not any(is_good(OLD["secret"], bad) for bad in tampered(message))


def by_public_key():
    assert all(has_good_key(OLD, message) and not has_good_key(NEW, message) for message in BEFORE)
    assert all(has_good_key(keys, message) for keys in (OLD, NEW) for message in OVERLAP)
    assert not any(has_good_key(NEW, bad) for bad in tampered(OVERLAP[0]))


def the_book():
    chapter = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
    program = chapter.split("```python\n")[1].split("\n```")[0]
    os.environ["WEBHOOK_SECRET"] = NEW["secret"]
    names = {}
    exec(compile(program, "docs/webhooks.md", "exec"), names)
    for message in OVERLAP:
        assert names["receive"](message["headers"], message["body"]) == "nothing to do for client.created"
    for bad in (*BEFORE, *tampered(OVERLAP[0])):
        try:
            names["receive"](bad["headers"], bad["body"])
        except WebhookVerificationError:
            continue
        raise AssertionError(f"accepted: {bad}")


flow("every message before the roll is verified", before_the_roll)
flow("every message of the overlap is verified with the old and with the new secret", in_the_overlap)
flow("a changed message, another time and a foreign secret are refused", refused)
flow("v1a is an Ed25519 signature of the old key, and in the overlap of both", by_public_key)
flow("the program of the book takes messages and nothing else", the_book)
run_all("standardwebhooks")
