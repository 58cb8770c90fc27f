"""The inbox's one connection to Postgres: made anew when it breaks, given up when it freezes."""

import asyncio
import secrets
from collections.abc import Callable, Sequence

import psycopg
import structlog
from psycopg.pq.abc import PGresult

from receiver.postgres import DurabilityError, connect, refuse_to_lose
from receiver.wire import FrozenError, Statement, Then, Wire

SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
# While one batch is committed, the next is worth a commit of its own once it has so many; measured at 64 connections.
WORTH_ROWS = 16
MOST_UNDER_WAY = 4

DURABILITY = Statement.named("status", "durability")

log = structlog.get_logger()


class Link:
    """Knows whether Postgres takes rows, and how many statements are worth sending; `answered` is called after each."""

    def __init__(self, database_url: str, *, answered: Callable[[], None]) -> None:
        self._url = database_url
        self._answered = answered
        self._wire: Wire | None = None
        self._frozen: list[Wire] = []
        self._pause = SHORTEST_PAUSE
        self.open = self.away = False

    async def connect(self) -> None:
        """Connect, where a commit is a promise. Raises psycopg.Error, OSError, FrozenError, DurabilityError."""
        connection = await connect(self._url, application="jumio-receiver")
        self._wire = Wire(connection, answered=self._answered)
        found = await self.ask(DURABILITY)
        refuse_to_lose((found.get_value(row, 0), found.get_value(row, 1)) for row in range(found.ntuples))

    def wants(self, rows: int) -> bool:
        """Whether so many that wait are to be sent now."""
        if self._wire is None or self._wire.lost.done() or not self.open or not rows:
            return False
        return not self._wire or (rows >= WORTH_ROWS and len(self._wire) < MOST_UNDER_WAY)

    def send(self, statement: Statement, parameters: Sequence[bytes | None], then: Then) -> None:
        """Commit, then call `then`; see Wire.send."""
        if self._wire is None:
            then(psycopg.InterfaceError())
        else:
            self._wire.send(statement, parameters, then)

    async def ask(self, statement: Statement, parameters: Sequence[bytes | None] = ()) -> PGresult:
        """Commit, and wait for it. Raises psycopg.Error, FrozenError."""
        if self._wire is None:
            raise psycopg.InterfaceError
        return await self._wire.ask(statement, parameters)

    async def hold(self, seconds: float) -> None:
        """Return after so long. Raises what ends the connection before: psycopg.Error, FrozenError."""
        if self._wire is not None:
            await asyncio.wait((self._wire.lost,), timeout=seconds)
            if self._wire.lost.done():
                raise self._wire.lost.result()

    async def pause(self) -> None:
        """Wait before the next try: longer each time, until it has come back."""
        await asyncio.sleep(self._pause * (0.5 + secrets.randbelow(1000) / 1000))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def come_back(self) -> None:
        """Note that Postgres takes rows."""
        if self.away:
            log.info("inbox.reconnected")
        self.open, self.away = True, False
        self._pause = SHORTEST_PAUSE

    def drop(self, error: Exception) -> None:
        """Note once that Postgres is away, and let go of the connection."""
        if not self.away:
            sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
            off = error.args if isinstance(error, DurabilityError) else ()
            log.error("inbox.disconnected", error=type(error).__name__, sqlstate=sqlstate, settings_off=off)
        self.open, self.away = False, True
        wire, self._wire = self._wire, None
        if wire is not None and isinstance(error, FrozenError):
            # To close it now would be to forget what it may still do: it closes itself.
            self._frozen = [wire, *(each for each in self._frozen if not each.closed)]
        elif wire is not None:
            wire.close()

    def close(self) -> None:
        """Hang up."""
        self.open = False
        for wire in (self._wire, *self._frozen):
            if wire is not None:
                wire.close()


BROKEN = (psycopg.Error, OSError, FrozenError, DurabilityError)
