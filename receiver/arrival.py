"""What arrived, and the sealed row it becomes: nothing personal leaves here in the clear."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from uuid_utils import UUID

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
    """One request that is to be kept, byte for byte. `evidence` is JSON."""

    id: UUID
    tenant: str
    received_at: datetime
    peer: str | None
    client_address: str | None
    evidence: str
    body: bytes
    head: bytes
    state: str = "stored"
    last_error: str | None = None

    def sealed(self, keys: KeyRing) -> Row:
        """The row, bound to this id: sealed bytes of another row do not open in its place."""
        own = str(self.id)
        return Row(
            self.id,
            self.tenant,
            self.received_at,
            self.peer,
            self.client_address,
            self.evidence,
            hashlib.sha256(self.body).digest(),
            keys.seal(self.body, place=f"callbacks.body/{own}"),
            keys.seal(self.head, place=f"callbacks.head/{own}"),
            self.state,
            self.last_error,
            len(self.body),
        )


def head_bytes(headers: Iterable[tuple[bytes, bytes]], *, query: bytes, secret: bytes) -> bytes:
    """Headers and query as JSON. A line in which a proxy repeats the path secret (its original URI) is left out."""
    kept = [
        _as_json(name, value)
        for name, value in headers
        if name.lower() not in _NEVER_KEPT and not (secret and secret in value)
    ]
    asked = json.dumps(query.decode("latin-1")).encode() if query else b'""'
    return b'{"headers": [%b], "query": %b}' % (b", ".join(kept), asked)


@lru_cache(maxsize=1024)
def _as_json(name: bytes, value: bytes) -> bytes:
    """One header; a client sends nearly the same ones with every request."""
    return json.dumps([name.decode("latin-1"), value.decode("latin-1")]).encode()
