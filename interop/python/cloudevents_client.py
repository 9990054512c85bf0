"""The package `cloudevents`: structured, binary and batched events are taken as it writes them."""

import json
import os
from datetime import datetime, timezone

import requests
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from flows import ISSUER, flow, run_all


def access_token():
    answer = requests.post(
        f"{ISSUER}/oauth2/token",
        data={"grant_type": "client_credentials", "scope": "usage:write billing:read"},
        auth=(os.environ["REPORTER_ID"], os.environ["REPORTER_SECRET"]),
        timeout=30,
    )
    answer.raise_for_status()
    return answer.json()["access_token"]


NOW = datetime.now(timezone.utc).replace(microsecond=0)
BEARER = {"authorization": f"Bearer {access_token()}"}


def event(number, tokens):
    attributes = {
        "id": str(number),
        "source": "/sensors/é 1",
        "type": "llm.call",
        "specversion": "1.0",
        "subject": "cloudevents",
        "time": NOW,
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    return CloudEvent(attributes=attributes, data={"tokens": tokens})


def send(message, content_type=None):
    headers = {**message.headers, **BEARER}
    if content_type:
        headers["content-type"] = content_type
    answer = requests.post(f"{ISSUER}/api/usage/events", data=message.body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["rejected"] == [], report
    return report["accepted"], report["duplicates"]


def used():
    query = {"customer_id": "cloudevents", "meter": "tokens", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    answer = requests.get(f"{ISSUER}/api/usage/query", params=query, headers=BEARER, timeout=30)
    assert answer.status_code == 200, answer.text
    return [one["value"] for one in answer.json()["data"]]


def structured():
    assert send(to_structured_event(event(1, 10))) == (1, 0)
    assert send(to_structured_event(event(1, 10))) == (0, 1)
    assert used() == ["10"]


def binary():
    assert send(to_binary_event(event(2, 2.5))) == (1, 0)
    assert send(to_binary_event(event(2, 2.5))) == (0, 1)
    assert used() == ["12.5"]


def the_two_forms_of_one_event():
    assert send(to_binary_event(event(1, 10))) == (0, 1)
    assert send(to_structured_event(event(2, 2.5))) == (0, 1)


def batch():
    events = [json.loads(to_structured_event(event(*one)).body) for one in ((2, 2.5), (3, 1), (4, 1))]
    message = HTTPMessage(headers={}, body=json.dumps(events).encode())
    assert send(message, "application/cloudevents-batch+json") == (2, 1)
    assert used() == ["14.5"]


flow("structured", structured)
flow("binary", binary)
flow("the two forms of one event are one event", the_two_forms_of_one_event)
flow("batch", batch)
run_all("cloudevents")
