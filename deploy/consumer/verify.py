"""Is it from the sender, and fresh? Standard Webhooks 1.0 with nothing but the standard library."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping

# What the specification's own libraries allow: longer than clocks differ, shorter than a recording is of use.
TOLERANCE_SECONDS = 300


class ForgedError(Exception):
    """No secret of ours signed these bytes, or not lately."""


def verify(body: bytes, headers: Mapping[str, str], secrets: Iterable[str], *, now: float | None = None) -> str:
    """The event's id, if one of the secrets (whsec_...) signed exactly this body just now. Raises ForgedError.

    More than one secret while they are being exchanged; more than one signature while the sender exchanges its own.
    """
    try:
        event_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        signatures = headers["webhook-signature"].split()
    except (KeyError, ValueError):
        raise ForgedError from None
    if abs((time.time() if now is None else now) - timestamp) > TOLERANCE_SECONDS:
        raise ForgedError
    signed = f"{event_id}.{timestamp}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
        if any(hmac.compare_digest(wanted, given.encode()) for given in signatures):
            return event_id
    raise ForgedError
