"""What arrived, and the sealed row it becomes: nothing personal leaves here in the clear."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from schemas.sealing import KeyRing

# Sent by mistake, they are somebody's credentials.
_NEVER_KEPT = frozenset({b"authorization", b"proxy-authorization", b"cookie"})


class Row(NamedTuple):
    """The columns that insert_callbacks takes, in clear only where they are no one's data."""

    id: UUID
    tenant: str
    received_at: datetime
    peer: str | None
    client_address: str | None
    source_evidence: str
    sha256: bytes
    sealed_body: bytes
    sealed_head: bytes
    state: str
    last_error: str | None
    bytes: int


@dataclass(slots=True, eq=False, repr=False)
class Arrival:
    """One request that is to be kept, byte for byte."""

    id: UUID
    tenant: str
    received_at: datetime
    peer: str | None
    client_address: str | None
    evidence: Mapping[str, object]
    body: bytes
    head: bytes
    state: str = "stored"
    last_error: str | None = None

    def sealed(self, keys: KeyRing) -> Row:
        """The row, bound to this id: sealed bytes of another row do not open in its place."""
        own = str(self.id)
        return Row(
            id=self.id,
            tenant=self.tenant,
            received_at=self.received_at,
            peer=self.peer,
            client_address=self.client_address,
            source_evidence=_as_json(tuple(self.evidence.items())),
            sha256=hashlib.sha256(self.body).digest(),
            sealed_body=keys.seal(self.body, place=f"callbacks.body/{own}"),
            sealed_head=keys.seal(self.head, place=f"callbacks.head/{own}"),
            state=self.state,
            last_error=self.last_error,
            bytes=len(self.body),
        )


@lru_cache(maxsize=256)
def _as_json(evidence: tuple[tuple[str, object], ...]) -> str:
    """A second of callbacks has the same few kinds of evidence."""
    return json.dumps(dict(evidence))


def as_columns(rows: Iterable[Row]) -> dict[str, list[Any]]:
    """What insert_callbacks takes: an array a column."""
    return dict(zip(Row._fields, map(list, zip(*rows, strict=True)), strict=True))


def head_bytes(headers: Iterable[tuple[bytes, bytes]], *, query: bytes, secret: bytes) -> bytes:
    """Headers and query as JSON. A line in which a proxy repeats the path secret (its original URI) is left out."""
    kept = [
        [name.decode("latin-1"), value.decode("latin-1")]
        for name, value in headers
        if name.lower() not in _NEVER_KEPT and not (secret and secret in value)
    ]
    return json.dumps({"headers": kept, "query": query.decode("latin-1")}).encode()
