"""Signs an event as Standard Webhooks 1.0 says: HMAC-SHA256 over id, time and the exact bytes."""

import base64
import binascii
import hashlib
import hmac
import os

PREFIX = "whsec_"
# The specification's bounds; a new secret has the length of the hash's own block of output.
SHORTEST, LONGEST, NEW = 24, 64, 32


class SigningSecretError(ValueError):
    """A signing secret is whsec_ and the base64 of 24 to 64 random bytes; the text never shows it."""


def new_secret() -> str:
    """A random secret, in the form that `sign` reads."""
    return PREFIX + base64.b64encode(os.urandom(NEW)).decode()


def read_secret(text: str) -> bytes:
    """The key in a secret's text. Raises SigningSecretError."""
    if not text.startswith(PREFIX):
        raise SigningSecretError(f"a signing secret begins with {PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SigningSecretError(f"what follows {PREFIX} is not base64") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise SigningSecretError(f"a signing secret holds {SHORTEST} to {LONGEST} bytes, not {len(key)}")
    return key


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature for these bytes at this time."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(read_secret(secret), signed, hashlib.sha256)).decode()
