"""Signatures that the official verifier takes, over documents that are CloudEvents."""

import base64
import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from schemas.events.envelope import envelope
from schemas.events.signing import (
    PRIVATE_PREFIX,
    SigningSecretError,
    new_private_key,
    new_secret,
    public_key,
    read_private_key,
    read_secret,
    sign,
)

EVENT_ID = "0198c0de-0000-7000-8000-000000000001"
BODY = '{"outcome":"passed","label":"Prüfung ✓"}'.encode()


def headers(
    secret: str, *, body: bytes = BODY, event_id: str = EVENT_ID, timestamp: int | None = None
) -> dict[str, str]:
    at = int(time.time()) if timestamp is None else timestamp
    return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": sign(secret, event_id, at, body)}


def test_the_vector_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


# Svix's server tests with this pair; Ed25519 signs the same bytes the same way everywhere.
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
SEED = PRIVATE_PREFIX + base64.b64encode(base64.b64decode(PAIR.removeprefix(PRIVATE_PREFIX))[:32]).decode()


@pytest.mark.parametrize("secret", [PAIR, SEED])
def test_an_ed25519_key_signs_as_svix_does(secret: str) -> None:
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == ("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==")
    assert public_key(secret) == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="


def test_a_new_private_key_is_verified_with_its_public_key_alone() -> None:
    secret = new_private_key()
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode((public_key(secret) or "").removeprefix("whpk_")))

    signature = base64.b64decode(sign(secret, EVENT_ID, 1, BODY).removeprefix("v1a,"))

    public.verify(signature, f"{EVENT_ID}.1.".encode() + BODY)
    with pytest.raises(InvalidSignature):
        public.verify(signature, f"{EVENT_ID}.2.".encode() + BODY)
    assert public_key(new_secret()) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("whsk_not base64", "not base64"),
        ("whsk_" + base64.b64encode(bytes(31)).decode(), "holds 32 bytes, or 64"),
        ("whsk_" + base64.b64encode(bytes(64)).decode(), "another one's"),
        ("whsec_" + base64.b64encode(bytes(24)).decode(), "begins with"),
    ],
)
def test_a_private_key_of_another_form_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(SigningSecretError, match=complaint):
        read_private_key(text)


def test_the_official_verifier_takes_it() -> None:
    secret = new_secret()

    Webhook(secret).verify(BODY, headers(secret))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "0198c0de-0000-7000-8000-000000000002"),
        ("webhook-timestamp", "a minute before"),
        ("webhook-signature", "v1," + base64.b64encode(hmac.digest(b"another", BODY, hashlib.sha256)).decode()),
    ],
)
def test_an_altered_header_is_refused(name: str, value: str) -> None:
    if value == "a minute before":
        value = str(int(time.time()) - 60)
    secret = new_secret()

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, {**headers(secret), name: value})


def test_an_altered_body_is_refused() -> None:
    secret = new_secret()

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"passed", b"Passed"), headers(secret))


def test_an_old_signature_is_refused() -> None:
    secret = new_secret()

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers(secret, timestamp=int(time.time()) - 400))


def test_secrets_are_long_and_all_different() -> None:
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert {len(read_secret(secret)) for secret in secrets} == {32}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "begins with whsec_"),
        (base64.b64encode(bytes(32)).decode(), "begins with whsec_"),
        ("whsec_not base64", "not base64"),
        ("whsec_é", "not base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 bytes, not 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 bytes, not 65"),
    ],
)
def test_a_secret_of_another_form_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(SigningSecretError, match=complaint):
        read_secret(text)


@pytest.mark.parametrize("length", [24, 64])
def test_the_bounds_of_the_specification_are_allowed(length: int) -> None:
    assert read_secret("whsec_" + base64.b64encode(bytes(length)).decode()) == bytes(length)


def test_an_event_is_a_cloud_event() -> None:
    body = envelope(
        UUID(EVENT_ID),
        "kyc.workflow.decided.v1",
        source="/jumio-pipeline",
        subject="11111111-1111-1111-1111-111111111111",
        sequence=1,
        occurred_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        data={"outcome": "passed"},
    )

    document = json.loads(body)
    assert document["specversion"] == "1.0"
    for name in ("id", "source", "type"):
        assert isinstance(document[name], str)
        assert document[name]
    assert document["time"] == "2026-01-02T03:04:05Z"
    # CloudEvents 1.0: attribute names are lower-case letters and digits; integers have 32 bits.
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in document)
    assert document["sequence"] == 1
    assert document["data"] == {"outcome": "passed"}
