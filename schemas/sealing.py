"""Encrypts what holds personal data: AES-256-GCM under a key ring, bound to the row it belongs to."""

import base64
import os
import re
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = 1
NONCE_BYTES = 12  # what GCM is specified for; random ones are safe up to 2**32 messages a key
TAG_BYTES = 16
KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class KeyRingError(ValueError):
    """The keys cannot be used; the text never shows one."""


class UnsealError(Exception):
    """The bytes were changed, belong to another row, or their key is not on the ring."""


@dataclass(frozen=True)
class KeyRing:
    """Keys by id. The first one seals, any of them unseals."""

    primary: str
    _ciphers: dict[str, AESGCM] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `id:base64key,...`, each key 32 bytes. Raises KeyRingError."""
        keys: dict[str, AESGCM] = {}
        for entry in (part.strip() for part in text.split(",") if part.strip()):
            key_id, _, encoded = entry.partition(":")
            if not _KEY_ID.fullmatch(key_id) or key_id in keys:
                raise KeyRingError("each key needs an id of its own: 1 to 32 of letters, digits, dot, dash, underscore")
            keys[key_id] = AESGCM(_decode(encoded))
        if not keys:
            raise KeyRingError("there is no key; make one with: jumio-pipeline new-key")
        return cls(primary=next(iter(keys)), _ciphers=keys)

    @staticmethod
    def generate(key_id: str = "k1") -> str:
        """A new ring of one random key, in the form that parse reads."""
        return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys, in their order."""
        return tuple(self._ciphers)

    def seal(self, clear: bytes, *, place: str) -> bytes:
        """Encrypt. `place` says where it is kept (table.column/row id): elsewhere it will not open."""
        head, cipher = self._sealing
        nonce = os.urandom(NONCE_BYTES)
        return head + nonce + cipher.encrypt(nonce, clear, head + place.encode())

    @cached_property
    def _sealing(self) -> tuple[bytes, AESGCM]:
        return bytes((VERSION, len(self.primary))) + self.primary.encode(), self._ciphers[self.primary]

    def unseal(self, sealed: bytes, *, place: str) -> bytes:
        """Decrypt what `seal` made for the same place. Raises UnsealError."""
        head, rest = _split_head(sealed)
        cipher = self._ciphers.get(head[2:].decode("ascii", "replace"))
        if cipher is None:
            raise UnsealError("the key that sealed it is not on the ring: keep old keys in ENCRYPTION_KEYS")
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + place.encode())
        except InvalidTag:
            raise UnsealError("the bytes were changed or belong to another row") from None

    def seal_text(self, clear: bytes, *, place: str) -> bytes:
        """As seal, compressed first: for JSON documents, which shrink to about a quarter."""
        return self.seal(zlib.compress(clear, level=1), place=place)

    def unseal_text(self, sealed: bytes, *, place: str) -> bytes:
        """As unseal, for what seal_text made."""
        return zlib.decompress(self.unseal(sealed, place=place))


def _decode(encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise KeyRingError("a key is not base64") from None
    if len(key) != KEY_BYTES:
        raise KeyRingError(f"a key has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _split_head(sealed: bytes) -> tuple[bytes, bytes]:
    end = 2 + sum(sealed[1:2])
    if not sealed.startswith(bytes((VERSION,))) or len(sealed) < end + NONCE_BYTES + TAG_BYTES:
        raise UnsealError("not something that was sealed here, or cut short")
    return sealed[:end], sealed[end:]
