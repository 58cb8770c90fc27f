"""One look for all who wait: is there a newer event? Nobody who waits holds a connection."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
import structlog
from psycopg_pool import PoolTimeout

# An event is at a waiting consumer in half of this on average; a look is one row of an index.
LOOK_SECONDS = 0.2

AWAY = (psycopg.Error, PoolTimeout, OSError, TimeoutError)

log = structlog.get_logger()


class Latest:
    """Looks while somebody waits, and rings when it changed."""

    def __init__(self, look: Callable[[], Awaitable[object]]) -> None:
        self._look = look
        self._bell = asyncio.Event()
        self._wanted = asyncio.Event()
        self._waiting = 0
        self._seen: object = None
        self._task: asyncio.Task[None] | None = None
        self.stopped = False

    async def open(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Send everybody home."""
        self.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def stop(self) -> None:
        """Nobody waits any more: the process is to end."""
        self.stopped = True
        self._ring()

    def bell(self) -> asyncio.Event:
        """Rings at the next change; to be taken before one reads."""
        return self._bell

    async def wait(self, bell: asyncio.Event, seconds: float) -> None:
        """Until it rings, or that long."""
        if self.stopped:
            return
        self._waiting += 1
        self._wanted.set()
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wanted.clear()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                latest = await self._look()
            except AWAY as error:
                log.warning("feed.database_away", error=type(error).__name__)
                # Who waits is told, rather than left to think that there is nothing.
                self._ring()
            else:
                if latest != self._seen:
                    self._seen = latest
                    self._ring()
            await asyncio.sleep(LOOK_SECONDS)

    def _ring(self) -> None:
        self._bell.set()
        self._bell = asyncio.Event()
