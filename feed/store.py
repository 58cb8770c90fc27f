"""Postgres, as the feed reads it: a few connections for any number of consumers."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from feed.cursor import Cursor
from feed.question import Question
from schemas.sql.queries import query

# A page is read in milliseconds, and nobody holds one while waiting or while an answer is being sent.
_CONNECTIONS = 4
# How long a request waits for one before it is told that the database is away.
_PATIENCE_SECONDS = 2.0
# Events that one statement looks at where there is a filter: far less than its timeout even on a slow disk.
MOST_SCANNED = 20_000
log = structlog.get_logger()

_SESSION = "-c statement_timeout=5s -c idle_in_transaction_session_timeout=10s"

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


@dataclass(frozen=True)
class Consumer:
    """Who asks, and of which tenants it may know; None: of all."""

    name: str
    tenants: Sequence[str] | None


@dataclass(frozen=True)
class Page:
    """Events as they were signed and sent, and where the next page begins; `more`: there may be more at once."""

    bodies: Sequence[str]
    cursor: Cursor
    more: bool = False
    ended: bool = False


def open_pool(database_url: str) -> Pool:
    """Opened by the loop that uses it."""
    return AsyncConnectionPool(
        database_url,
        connection_class=AsyncConnection[DictRow],
        min_size=1,
        max_size=_CONNECTIONS,
        timeout=_PATIENCE_SECONDS,
        max_lifetime=1800,
        check=AsyncConnectionPool.check_connection,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": "jumio-pipeline feed",
            "connect_timeout": 3,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 5000,
            "options": _SESSION,
        },
        open=False,
    )


async def find_consumer(conn: AsyncConnection[DictRow], token: str) -> Consumer | None:
    """Whose token it is, if it is one that stands."""
    digest = hashlib.sha256(token.encode()).digest()
    found = await _rows(conn, "consumers", "find_consumer", {"token_sha256": digest})
    if not found:
        return None
    [row] = found
    if row["unnoted"]:
        await conn.execute(query("consumers", "note_use"), {"name": row["name"]})
    return Consumer(row["name"], row["tenants"])


async def read_page(conn: AsyncConnection[DictRow], question: Question, consumer: Consumer) -> Page:
    """The page after a cursor. `ended`: it is of a database that this one was restored from, or took over from."""
    after = question.after or Cursor(0, 0)
    values = {
        "epoch": after.epoch,
        "position": str(after.position),
        "sequence": after.sequence,
        "id": after.id,
        "filtered": question.types is not None or consumer.tenants is not None,
        "scan": MOST_SCANNED,
        "types": question.types,
        "tenants": consumer.tenants,
        "limit": question.limit,
    }
    rows = await _rows(conn, "feed", "read_events", values)
    if rows[0]["moved"]:
        await begin_epoch(conn)
        rows = await _rows(conn, "feed", "read_events", values)
    epoch, horizon = rows[0]["epoch"], int(rows[0]["horizon"])
    if after.position and (not rows[0]["known"] or after.position > horizon):
        return Page((), after, ended=True)
    events = [row for row in rows if row["id"] is not None]
    bodies = [row["body"] for row in events]
    if len(events) == question.limit:
        return Page(bodies, _at(epoch, events[-1]), more=True)
    if rows[0]["bound_id"] is not None:
        return Page(bodies, _at(epoch, rows[0], "bound_"), more=True)
    # All that lies below the horizon has been looked at, also what was of no interest.
    last = after if rows[0]["last_id"] is None else _at(epoch, rows[0], "last_")
    return Page(bodies, max(replace(after, epoch=epoch), last, key=Cursor.place))


async def begin_epoch(conn: AsyncConnection[DictRow]) -> None:
    """On another cluster, or another timeline of it, than that whose numbers of transactions cursors were made of."""
    [row] = await _rows(conn, "feed", "begin_epoch")
    if row["begun"]:
        log.warning("feed.epoch_begun", events=row["events"])


def _at(epoch: int, row: DictRow, prefix: str = "") -> Cursor:
    return Cursor(epoch, int(row[f"{prefix}position"]), row[f"{prefix}sequence"], row[f"{prefix}id"])


async def latest(pool: Pool) -> object:
    """The last event that may be read."""
    async with pool.connection() as conn:
        return await _rows(conn, "feed", "latest")


async def beat(pool: Pool, process: str) -> tuple[int, float]:
    """A sign of life; how many events wait behind an open transaction, and for how many seconds."""
    async with pool.connection() as conn:
        await conn.execute(query("pulses", "beat"), {"process": process, "role": "feed"})
        [row] = await _rows(conn, "feed", "held_back")
    return row["events"], row["seconds"]


async def _rows(
    conn: AsyncConnection[DictRow], table: str, name: str, values: Mapping[str, object] | None = None
) -> list[DictRow]:
    cursor = await conn.execute(query(table, name), values)
    return await cursor.fetchall()
