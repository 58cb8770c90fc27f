"""A sign of life for `status`, and what is held back for the metrics: both from the database, every few seconds."""

import asyncio
import os
import socket
from contextlib import suppress

import structlog

from feed.latest import AWAY
from feed.metrics import Metrics
from feed.store import Pool, beat

# As often as the relay's; status speaks of one that was silent for two minutes.
PULSE_SECONDS = 10.0

log = structlog.get_logger()


class Pulse:
    """Beats for as long as the process answers; Postgres need not be there."""

    def __init__(self, pool: Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._process = f"feed/{socket.gethostname()}/{os.getpid()}"
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        was_away = False
        while True:
            try:
                events, seconds = await beat(self._pool, self._process)
            except AWAY as error:
                if not was_away:
                    log.warning("feed.database_away", error=type(error).__name__)
                was_away = True
            else:
                self._metrics.held_back.set(events)
                self._metrics.held_back_seconds.set(seconds)
                was_away = False
            await asyncio.sleep(PULSE_SECONDS)
