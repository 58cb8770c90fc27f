"""How the receiver connects to Postgres, and the settings without which a commit is not a promise."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from receiver.binary import take_rows
from schemas.sql.queries import query

# The answer waits for 2.5 s: nothing on the server may go on much longer than that.
_SESSION = "-c statement_timeout=5s -c synchronous_commit=on -c idle_in_transaction_session_timeout=10s"
# What one row's data can be blamed for; its neighbours in the statement cannot.
ONE_ROWS_FAULT = (psycopg.DataError, psycopg.IntegrityError)
_MUST_NOT_BE_OFF = (b"fsync", b"full_page_writes", b"synchronous_commit")


class DurabilityError(Exception):
    """Postgres would acknowledge a commit that it can lose: these settings are off."""


class PooledError(Exception):
    """Between us and Postgres is a pooler that gives a session to each transaction, and not to each connection."""


async def connect(database_url: str, *, application: str) -> AsyncConnection[TupleRow]:
    """An autocommit connection that notices a dead network within seconds."""
    asked_for = str(conninfo_to_dict(database_url).get("options") or "")
    connection = await psycopg.AsyncConnection.connect(
        database_url,
        autocommit=True,
        connect_timeout=3,
        keepalives=1,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=5000,
        application_name=application,
        options=f"{asked_for} {_SESSION}".strip(),
    )
    take_rows(connection)
    return connection


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """A connection for what happens in the background, a few times a minute: opened for it, closed after it."""
    connection = await connect(database_url, application="jumio-receiver-background")
    try:
        yield connection
    finally:
        await connection.close()


async def check_session(connection: AsyncConnection[TupleRow], database_url: str) -> None:
    """Raise PooledError where each transaction gets a session of its own: what was prepared is in another, then."""
    if await _backend(connection) == connection.info.backend_pid:
        return
    # A pooler is between, and has given us a name of its own. Two who are there at the same time must not share.
    async with connected(database_url) as other:
        for _ in range(3):
            if await _backend(connection) == await _backend(other):
                raise PooledError


def is_poolers(error: Exception) -> bool:
    """Whether a pooler refuses to connect us as we must be connected; it has no SQLSTATE of its own for that."""
    return "unsupported startup parameter" in str(error)


async def _backend(connection: AsyncConnection[TupleRow]) -> int:
    [(pid,)] = await (await connection.execute(query("status", "backend"))).fetchall()
    return int(pid)


async def check_durability(connection: AsyncConnection[TupleRow]) -> None:
    """Raise DurabilityError with the settings that are off."""
    cursor = await connection.execute(query("status", "durability"))
    refuse_to_lose((name.encode(), setting.encode()) for name, setting in await cursor.fetchall())


def refuse_to_lose(settings: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    """As check_durability, for what was read: names and settings."""
    off = [name.decode() for name, setting in settings if name in _MUST_NOT_BE_OFF and setting == b"off"]
    if off:
        raise DurabilityError(*off)
