"""What a subscriber gets, judged by others: Standard Webhooks in Python and JavaScript, CloudEvents, AsyncAPI."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from schemas.events.documents import catalogue
from schemas.events.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE
from schemas.events.examples import example
from schemas.events.signing import new_secret
from tests.workers.conftest import Received, Subscriber
from workers.destinations.webhook import Webhooks

PACKAGES = ("standardwebhooks@1.0.0", "@asyncapi/specs@6.8.1")
BODY = json.dumps(example("kyc.workflow.changed.v1"), ensure_ascii=False).replace("OK", "Prüfung ✓").encode()
EVENT_ID = UUID(json.loads(BODY)["id"])


@pytest.fixture(scope="module")
def node_modules() -> Iterator[Path]:
    """The packages of others, in a folder that goes away; where there is no node or no registry, they are not had."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not on this machine: the official JavaScript library is not asked")
    with TemporaryDirectory(prefix="jumio-pipeline-npm-") as folder:
        options = ("--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
        command = [npm, "install", *options, *PACKAGES]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm install failed here with exit code {done.returncode}: no registry, or not these packages")
        yield Path(folder) / "node_modules"


@pytest.fixture
def secret() -> str:
    return new_secret()


@pytest.fixture
def received(subscriber: Subscriber, secret: str) -> Received:
    """A delivery as it came over the wire."""
    webhooks = Webhooks(private=[ip_network("127.0.0.0/8")])
    assert webhooks.send(subscriber.url(), secrets=[secret], event_id=str(EVENT_ID), body=BODY).status == 200
    [request] = subscriber.requests
    return request


def test_python_verifies_what_arrived_and_nothing_else(received: Received, secret: str) -> None:
    assert Webhook(secret).verify(received.body, received.headers) == json.loads(BODY)
    for forged, headers, key in forgeries(received, secret):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(forged, headers)


def test_javascript_verifies_what_arrived_and_nothing_else(node_modules: Path, received: Received, secret: str) -> None:
    genuine, *forged = verdicts(node_modules, [(received.body, received.headers, secret), *forgeries(received, secret)])

    assert genuine == "verified"
    assert forged == ["No matching signature found"] * 3 + ["Message timestamp too old"]


def test_the_sdk_of_cloud_events_reads_what_arrived(received: Received) -> None:
    event = from_http(HTTPMessage(headers=received.headers, body=received.body), JSONFormat())

    sent = json.loads(BODY)
    assert received.headers["content-type"] == CONTENT_TYPE
    assert (event.get_id(), event.get_type(), event.get_subject()) == (sent["id"], sent["type"], sent["subject"])
    assert event.get_extension("sequence") == sent["sequence"]
    assert event.get_data() == sent["data"]


def test_the_asyncapi_document_is_one(node_modules: Path) -> None:
    """By AsyncAPI's own schema of version 3.0.0, which holds its parts by their names."""
    schema = json.loads((node_modules / "@asyncapi/specs/schemas/3.0.0.json").read_text())
    parts = [(name, DRAFT7.create_resource(part)) for name, part in schema["definitions"].items()]
    validator = Draft7Validator(schema, registry=Registry().with_resources(parts))

    def wrong(document: dict[str, Any]) -> list[str]:
        return [error.json_path for error in validator.iter_errors(document)]

    document = catalogue()["asyncapi.json"]
    assert wrong(document) == []
    assert wrong({**document, "operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/feed"}}}})


def test_the_asyncapi_document_refers_to_what_is_in_it() -> None:
    document = catalogue()["asyncapi.json"]

    references = list(referred(document))
    assert len(references) > 20
    for reference in references:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    assert set(document["channels"]) == {"webhook", "stream", "exchange", "feed"}
    assert BATCH_CONTENT_TYPE in document["channels"]["feed"]["description"]


def forgeries(received: Received, secret: str) -> list[tuple[bytes, dict[str, str], str]]:
    """The same with another body, another id, another secret, and from an hour ago."""
    headers = received.headers
    other_id = {**headers, "webhook-id": str(UUID(int=1))}
    late = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3600)}
    return [
        (received.body.replace(b"rejected", b"passed"), headers, secret),
        (received.body, other_id, secret),
        (received.body, headers, new_secret()),
        (received.body, late, secret),
    ]


def verdicts(node_modules: Path, asked: list[tuple[bytes, dict[str, str], str]]) -> list[str]:
    """What JavaScript says to each."""
    lines = [
        json.dumps({"secret": secret, "body": base64.b64encode(body).decode(), "headers": headers})
        for body, headers, secret in asked
    ]
    command = ["node", str(Path(__file__).with_name("verify.mjs")), str(node_modules)]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=30, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def referred(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield str(value)
            else:
                yield from referred(value)
    elif isinstance(node, list):
        for value in node:
            yield from referred(value)
