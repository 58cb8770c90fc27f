"""The inbox's one connection to Postgres: made anew when it breaks, given up when it freezes."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow

from receiver.postgres import DurabilityError, check_durability, connect

# Below the answer's deadline: a frozen Postgres is given up, and tried anew, while callers still wait.
STATEMENT_SECONDS = 2.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0

log = structlog.get_logger()


class FrozenError(Exception):
    """Postgres took longer than callers wait; what it was asked may still happen."""


class Link:
    """Runs statements one after another, each committed by itself."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        # Of the one connection, and one for all statements: a new one would learn their parameters anew.
        self._cursor: AsyncCursor[TupleRow] | None = None
        self._left_behind: set[asyncio.Task[None]] = set()
        self._pause = SHORTEST_PAUSE
        self.away = False

    async def connect(self) -> None:
        """Connect, where a commit is a promise. Raises psycopg.Error, OSError, FrozenError, DurabilityError."""
        self._cursor = (await connect(self._url, application="jumio-receiver")).cursor()
        await self._within(lambda cursor: check_durability(cursor.connection))

    async def pause(self) -> None:
        """Wait before the next try: longer each time, until it has come back."""
        await asyncio.sleep(self._pause * (0.5 + secrets.randbelow(1000) / 1000))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def execute(
        self, statement: bytes, parameters: Mapping[str, object] | None = None, *, then: Callable[[], None]
    ) -> None:
        """Commit, then call `then`, even if it was too late to wait for. Raises psycopg.Error, FrozenError."""

        async def run(cursor: AsyncCursor[TupleRow]) -> None:
            await cursor.execute(statement, parameters)
            then()

        await self._within(run)

    def come_back(self) -> None:
        """Note that Postgres takes rows."""
        if self.away:
            log.info("inbox.reconnected")
        self.away = False
        self._pause = SHORTEST_PAUSE

    def drop(self, error: Exception) -> None:
        """Note once that Postgres is away, and let go of the connection."""
        if not self.away:
            sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
            off = error.args if isinstance(error, DurabilityError) else ()
            log.error("inbox.disconnected", error=type(error).__name__, sqlstate=sqlstate, settings_off=off)
        self.away = True
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            self._leave(asyncio.create_task(cursor.connection.close()))

    async def close(self) -> None:
        """Close it, unless something is still under way on it."""
        if self._cursor is not None:
            await self._cursor.connection.close()

    async def _within(self, work: Callable[[AsyncCursor[TupleRow]], Coroutine[Any, Any, None]]) -> None:
        cursor = self._cursor
        if cursor is None:
            raise psycopg.InterfaceError
        loop = asyncio.get_running_loop()
        task, ended = loop.create_task(work(cursor)), loop.create_future()
        # Not asyncio.timeout: cancelling a query on a frozen Postgres takes 12 s (psycopg#1371), so it is left behind.
        # Nor asyncio.wait: a third of what a lone statement costs here.
        task.add_done_callback(lambda _: _wake(ended))
        late = loop.call_later(STATEMENT_SECONDS, _wake, ended)
        try:
            await ended
        finally:
            late.cancel()
            if not task.done():
                self._cursor = None
                self._leave(asyncio.create_task(_outlive(task, cursor.connection)))
        if not task.done():
            raise FrozenError
        task.result()

    def _leave(self, task: "asyncio.Task[None]") -> None:
        self._left_behind.add(task)
        task.add_done_callback(self._left_behind.discard)


def _wake(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


async def _outlive(task: "asyncio.Task[None]", connection: AsyncConnection[TupleRow]) -> None:
    try:
        await asyncio.wait((task,))
    finally:
        await connection.close()
    if not task.cancelled():
        task.exception()


BROKEN = (psycopg.Error, OSError, FrozenError, DurabilityError)
