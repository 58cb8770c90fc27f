"""The command line's consumers: who may read the feed, and of which tenants."""

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from psycopg import Connection
from psycopg.errors import UniqueViolation

from workers import store

# So that a token is known for one wherever it turns up, for example by a scanner of repositories.
PREFIX = "jpf_"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class ConsumerError(Exception):
    """The consumer cannot be made or found as asked; the text says what to change."""


@dataclass(frozen=True)
class Consumer:
    """One line of the list; no tenants means all of them."""

    name: str
    tenants: list[str] | None
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def add(conn: Connection, name: str, *, tenants: Sequence[str] | None = None) -> str:
    """Let somebody read the feed: the token, which is kept nowhere. Raises ConsumerError."""
    if _NAME.fullmatch(name) is None:
        raise ConsumerError("a name is a-z, 0-9, dot, - and _, at most 63 of them, and begins with a letter or a digit")
    token = PREFIX + secrets.token_urlsafe(32)
    row = {
        "name": name,
        "token_sha256": hashlib.sha256(token.encode()).digest(),
        "tenants": list(tenants) if tenants else None,
    }
    told = {"change": "added", "consumer": name, "tenants": row["tenants"]}
    try:
        with conn.transaction():
            store.change(conn, "consumers", "insert_consumer", row)
            store.append_audit(conn, "subscription.changed", details=told)
    except UniqueViolation:
        raise ConsumerError("there is or was a consumer of this name: take another, then revoke this one") from None
    return token


def list_all(conn: Connection) -> list[Consumer]:
    """All there ever were, oldest first."""
    return [Consumer(**row) for row in store.rows(conn, "consumers", "list_consumers")]


def revoke(conn: Connection, name: str) -> None:
    """Answer this consumer no more. Raises ConsumerError."""
    with conn.transaction():
        if not store.change(conn, "consumers", "revoke_consumer", {"name": name}):
            raise ConsumerError("no consumer that stands has this name; see: jumio-pipeline consumers list")
        store.append_audit(conn, "subscription.changed", details={"change": "revoked", "consumer": name})


def write_token(token: str, path: Path) -> None:
    """To a file that is not there yet, for its owner only. Raises ConsumerError."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConsumerError(f"the token file cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
