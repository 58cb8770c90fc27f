"""What the line looks like -> readiness, gauges, and the room for strangers: read in the background."""

import asyncio
import time
from dataclasses import dataclass

import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from receiver.metrics import Metrics
from receiver.postgres import connected
from receiver.room import Room
from receiver.shared import AWAY
from schemas.sql.queries import query

POLL_SECONDS = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the line."""

    at: float
    workers: int
    overdue_seconds: float


class Watch:
    """Looks every POLL_SECONDS; an old look says so by its time."""

    def __init__(self, database_url: str, *, room: Room, metrics: Metrics) -> None:
        self._url = database_url
        self._room = room
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None
        self.seen: Seen | None = None

    async def open(self) -> None:
        """Start looking; Postgres need not be there."""
        self._task = asyncio.create_task(self._look_forever())

    async def close(self) -> None:
        """Stop; a query on a frozen Postgres is left behind."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=1)

    async def _look_forever(self) -> None:
        was_away = False
        while True:
            try:
                async with connected(self._url) as connection:
                    self.seen = await self._look(connection)
                was_away = False
            except AWAY:
                if not was_away:
                    log.warning("status.unread", exc_info=True)
                was_away = True
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, connection: AsyncConnection[TupleRow]) -> Seen:
        workers, overdue = 0, 0.0
        cursor = await connection.execute(query("status", "signs_of_life"))
        for role, silent_seconds, processes in await cursor.fetchall():
            self._metrics.silent.labels(role).set(silent_seconds)
            workers += processes if role == "worker" else 0
        cursor = await connection.execute(query("status", "backlog"))
        for work, waiting, overdue_seconds, parked in await cursor.fetchall():
            self._metrics.line.labels(work, "waiting").set(waiting)
            self._metrics.line.labels(work, "overdue_seconds").set(overdue_seconds)
            self._metrics.line.labels(work, "parked").set(parked)
            overdue = max(overdue, overdue_seconds)
        await self._count_aside(connection)
        return Seen(time.monotonic(), workers, overdue)

    async def _count_aside(self, connection: AsyncConnection[TupleRow]) -> None:
        cursor = await connection.execute(query("callbacks", "set_aside"))
        filled = {state: (rows, size) for state, rows, size in await cursor.fetchall()}
        self._room.recount(filled)
        for state in ("refused", "unverified"):
            self._metrics.aside.labels(state).set(filled.get(state, (0, 0))[0])
