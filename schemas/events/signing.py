"""Signs an event as Standard Webhooks 1.0 says, over id, time and exact bytes: HMAC-SHA256 (v1) or Ed25519 (v1a)."""

import base64
import binascii
import hashlib
import hmac
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
# The specification's bounds; a new secret has the length of the hash's own block of output.
SHORTEST, LONGEST, NEW = 24, 64, 32
# An Ed25519 seed, and what Svix writes: the seed with the public key behind it.
_SEED, _PAIR = 32, 64


class SigningSecretError(ValueError):
    """A signing secret is whsec_ and the base64 of 24 to 64 random bytes, or whsk_ and that of an Ed25519 private key.

    The text never shows it.
    """


def new_secret() -> str:
    """A random secret that the subscriber shares, in the form that `sign` reads."""
    return PREFIX + base64.b64encode(os.urandom(NEW)).decode()


def new_private_key() -> str:
    """A random Ed25519 key that never leaves us, in the form that `sign` reads: seed and public key."""
    key = Ed25519PrivateKey.generate()
    return PRIVATE_PREFIX + base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()


def public_key(secret: str) -> str | None:
    """What a subscriber verifies with, where it shares no secret; None where it does. Raises SigningSecretError."""
    key = _read(secret)
    if isinstance(key, bytes):
        return None
    return PUBLIC_PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def read_secret(text: str) -> bytes:
    """The key in the text of a secret that is shared. Raises SigningSecretError."""
    key = _decoded(text, PREFIX)
    if not SHORTEST <= len(key) <= LONGEST:
        raise SigningSecretError(f"a signing secret holds {SHORTEST} to {LONGEST} bytes, not {len(key)}")
    return key


def read_private_key(text: str) -> Ed25519PrivateKey:
    """The key in its text. Raises SigningSecretError."""
    raw = _decoded(text, PRIVATE_PREFIX)
    if len(raw) not in {_SEED, _PAIR}:
        raise SigningSecretError(f"an Ed25519 private key holds {_SEED} bytes, or {_PAIR} with its public key")
    key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED])
    if raw[_SEED:] not in {b"", key.public_key().public_bytes_raw()}:
        raise SigningSecretError("the public key behind the private key is another one's")
    return key


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """One signature for webhook-signature, for these bytes at this time; several secrets' are put side by side."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    key = _read(secret)
    if isinstance(key, bytes):
        return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return "v1a," + base64.b64encode(key.sign(signed)).decode()


def _read(secret: str) -> bytes | Ed25519PrivateKey:
    return read_private_key(secret) if secret.startswith(PRIVATE_PREFIX) else read_secret(secret)


def _decoded(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise SigningSecretError(f"a signing secret begins with {PREFIX}, or with {PRIVATE_PREFIX} for Ed25519")
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise SigningSecretError(f"what follows {prefix} is not base64") from None
