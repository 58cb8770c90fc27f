"""The audit trail, proven by hand: every row's digest and every link is computed anew, here and not by the database."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, IsolationLevel
from psycopg.rows import dict_row

from schemas.sql.queries import query
from workers import store

# What the digest of a row is over, in this order.
_FIELDS = (
    *("row_number", "happened_at", "who", "application", "client_address", "action", "tenant", "family"),
    *("workflow_key", "reason", "details"),
)
_START = hashlib.sha256(b"").digest()
# The relay seals every two seconds; a row that waits for so long has no relay.
_UNSEALED_SECONDS = 60
# A transaction may stay open, a relay may be down: longer than this somebody should know why.
_LATE_SECONDS = 3600
_MICROSECONDS = 1_000_000


class HeadError(Exception):
    """Not a head as `audit head` prints it; the text."""


@dataclass(frozen=True)
class Head:
    """Where the chain ended: kept elsewhere, it shows that everything up to it is as it was."""

    position: int
    link: bytes

    @classmethod
    def parse(cls, text: str) -> "Head":
        """From POSITION:LINK. Raises HeadError."""
        position, _, link = text.strip().partition(":")
        try:
            head = cls(int(position), bytes.fromhex(link))
        except ValueError:
            raise HeadError(text) from None
        if len(head.link) != len(_START):
            raise HeadError(text)
        return head

    def __str__(self) -> str:
        return f"{self.position}:{self.link.hex()}"


@dataclass
class Verification:
    """What was found; `wrong` is empty where the trail is whole."""

    head: Head = field(default_factory=lambda: Head(0, _START))
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_head(conn: Connection) -> Head:
    """The end of the chain, after sealing what was written until now, where this login may."""
    [answer] = store.rows(conn, "audit", "may_seal")
    while answer["allowed"] and store.rows(conn, "audit", "seal_audit")[0]["rows"]:
        pass
    found = store.rows(conn, "audit", "audit_head")
    return Head(**found[0]) if found else Head(0, _START)


def verify(conn: Connection, kept: Head | None = None) -> Verification:
    """Read the whole trail as it is at one moment. A head that was kept elsewhere must be part of it."""
    result = Verification()
    with _at_one_moment(conn):
        late = 0
        seen = kept is None or kept.position == 0
        for row in _stream(conn, "chain"):
            _check_link(result, row)
            _check_row(result, row)
            late += _is_late(row)
            if kept and row["position"] == kept.position:
                seen = True
                if row["link"] != kept.link:
                    result.wrong.append(f"the chain up to position {kept.position} is not the one that the head is of")
        if kept and not seen:
            result.wrong.append(
                f"the chain ends at position {result.head.position}, before the head's {kept.position}: "
                "its last rows were removed"
            )
        _check_outside(result, list(_stream(conn, "outside_the_chain")))
    if late:
        result.notes.append(
            f"{late} rows were sealed more than an hour after they happened: a transaction that stayed open, a relay "
            "that was down, or rows written in hindsight; see sealed_at in compliance.audit_trail"
        )
    return result


def digest(row: Mapping[str, Any]) -> bytes:
    """As pipeline.audit_digest: each field as `length:text`, an empty one as `-`."""
    texts = (None if row[name] is None else str(row[name]) for name in _FIELDS)
    return hashlib.sha256("".join("-" if text is None else f"{len(text)}:{text}" for text in texts).encode()).digest()


@contextmanager
def _at_one_moment(conn: Connection) -> Iterator[None]:
    conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with conn.transaction():
            yield
    finally:
        conn.isolation_level, conn.read_only = None, None


def _stream(conn: Connection, name: str) -> Iterator[dict[str, Any]]:
    with conn.cursor(name, row_factory=dict_row) as cursor:
        cursor.itersize = 5000
        yield from cursor.execute(query("audit", name), binary=True)


def _check_link(result: Verification, row: Mapping[str, Any]) -> None:
    """Goes on from the link that stands there, so that each break is told once."""
    position, before = row["position"], result.head
    if position != before.position + 1:
        result.wrong.append(f"positions {before.position + 1} to {position - 1} were removed from the chain")
    numbers = b"".join(number.to_bytes(8) for number in (position, row["number"], row["sealed_at"]))
    if (
        position == before.position + 1
        and row["link"] != hashlib.sha256(before.link + numbers + row["digest"]).digest()
    ):
        result.wrong.append(
            f"row {row['number']} at position {position} does not follow from the one before it: "
            "its link was changed, or put in, or the one before was"
        )
    result.head = Head(position, row["link"])


def _check_row(result: Verification, row: Mapping[str, Any]) -> None:
    if row["row_number"] is None:
        result.wrong.append(f"row {row['number']} at position {row['position']} was removed")
    elif digest(row) != row["digest"]:
        result.wrong.append(f"row {row['number']} at position {row['position']} was changed")


def _check_outside(result: Verification, rows: list[dict[str, Any]]) -> None:
    waiting = []
    for row in rows:
        if row["row_number"] is None:
            result.wrong.append(f"row {row['number']} was removed before it was sealed")
        elif row["digest"] is None:
            result.wrong.append(f"row {row['number']} was put in: it was not written by pipeline.append_audit")
        elif digest(row) != row["digest"]:
            result.wrong.append(f"row {row['number']} was changed before it was sealed")
        else:
            waiting.append(row["happened_at"] / _MICROSECONDS)
    if waiting:
        result.notes.append(f"{len(waiting)} rows are not sealed yet")
        if datetime.now(UTC).timestamp() - min(waiting) > _UNSEALED_SECONDS:
            result.notes.append("the oldest of them waits for over a minute; is a relay running? jumio-pipeline relay")


def _is_late(row: Mapping[str, Any]) -> bool:
    happened_at = row["happened_at"]
    return happened_at is not None and row["sealed_at"] - happened_at > _LATE_SECONDS * _MICROSECONDS
