"""What every store of sealed images can do, and how a blob is called in it."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

# A shard (the last two digits of the id: the first ones are a time), the image, the attempt that stored it, and chance:
# a blob is never written over, so whoever reads one reads it whole.
_KEY = re.compile(
    r"[0-9a-f]{2}/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.(\d{1,10})\.[0-9a-f]{8}(?:\.part)?"
)


class NoBlobError(Exception):
    """The store has nothing under this key."""


@dataclass(frozen=True)
class Blob:
    """What a store lists: a key, and since when it is there."""

    key: str
    put_at: datetime


class Vault(Protocol):
    """One store. Where it is away or refuses, every method raises VaultAwayError."""

    def put(self, key: str, sealed: bytes) -> None:
        """Keep durably, under a key that was never used; all or nothing."""

    def get(self, key: str) -> bytes:
        """Read whole. Raises NoBlobError."""

    def delete(self, key: str) -> None:
        """Forget; what is not there is forgotten already."""

    def blobs(self, image_id: UUID | None = None) -> Iterator[Blob]:
        """All that is kept, or all of one image, what a crash left included; never what is not ours."""


def new_key(image_id: UUID, *, attempt: int) -> str:
    """A key that names the image and the attempt, and was never used."""
    return f"{prefix_of(image_id)}{attempt}.{secrets.token_hex(4)}"


def prefix_of(image_id: UUID) -> str:
    """How every key of an image begins."""
    return f"{str(image_id)[-2:]}/{image_id}."


def is_key(text: str) -> bool:
    """Whether a name in a store is one of ours: nothing else there is read or deleted."""
    return _KEY.fullmatch(text) is not None


def read_key(key: str) -> tuple[UUID, int]:
    """The image and the attempt that a key names. Raises NoBlobError where it is none of ours."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise NoBlobError("not a key of this software's")
    return UUID(found[1]), int(found[2])
