"""Statements to Postgres, several under way on one connection: libpq's pipeline, driven by the loop itself.

A cursor of psycopg's is made for any statement, and costs a lone INSERT as much as Postgres does.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from receiver.postgres import ONE_ROWS_FAULT
from schemas.sql.queries import query

# Below the answer's deadline: a frozen Postgres is given up, and tried anew, while callers still wait.
STATEMENT_SECONDS = 2.0

_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_PLACEHOLDER = re.compile(rb"%\((\w+)\)b")


class FrozenError(Exception):
    """Postgres took longer than callers wait; what it was asked may still happen."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A named query as Postgres numbers its parameters, all of them in binary."""

    name: bytes
    text: bytes
    formats: Sequence[int]

    @classmethod
    def named(cls, table: str, name: str, *members: str) -> Self:
        """One of `<table>.sql` with these parameters in this order. Raises ValueError for any other."""

        def number(found: re.Match[bytes]) -> bytes:
            return b"$%d" % (members.index(found[1].decode()) + 1)

        text = _PLACEHOLDER.sub(number, query(table, name))
        return cls(name.encode(), text, [Format.BINARY] * len(members))


Then = Callable[[PGresult | Exception], None]


class Sent(NamedTuple):
    """A statement under way: whom to tell, and since when, by the loop's clock."""

    then: Then
    at: float


class Wire:
    """One connection: each statement is committed by itself, and answered in its turn.

    An error that is not one row's fault ends it, and `lost` has the error; what was under way is committed or not.
    """

    def __init__(self, connection: AsyncConnection[Any], *, answered: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection, self._pgconn = connection, connection.pgconn
        self._answered = answered
        self._under_way: deque[Sent] = deque()
        self._prepared: set[bytes] = set()
        self._outcome: PGresult | None = None
        self._listens = True
        self._late: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[Exception] = self._loop.create_future()
        self._pgconn.enter_pipeline_mode()
        self._socket = self._pgconn.socket
        self._loop.add_reader(self._socket, self._receive)

    def __len__(self) -> int:
        """How many statements are under way."""
        return len(self._under_way)

    @property
    def closed(self) -> bool:
        """Whether it was hung up, by whichever side."""
        return self._connection.closed

    def send(self, statement: Statement, parameters: Sequence[bytes | None], then: Then) -> None:
        """Run it after those under way, then call `then` with the result or with what went wrong.

        Whoever was told that it is frozen hears once more if Postgres ran the statement in the end.
        """
        if self.lost.done():
            then(self.lost.result())
            return
        self._under_way.append(Sent(then, self._loop.time()))
        if self._late is None:
            self._late = self._loop.call_later(STATEMENT_SECONDS, self._look_for_late)
        try:
            if statement.name not in self._prepared:
                self._pgconn.send_prepare(statement.name, statement.text)
                self._prepared.add(statement.name)
            self._pgconn.send_query_prepared(statement.name, parameters, statement.formats)
            # The end of a transaction, too: each fails, or is committed, by itself.
            self._pgconn.pipeline_sync()
            if self._pgconn.flush():
                self._loop.add_writer(self._socket, self._flush)
        except psycopg.Error as error:
            self._end(error)

    async def ask(self, statement: Statement, parameters: Sequence[bytes | None] = ()) -> PGresult:
        """Run one and wait for it. Raises psycopg.Error, FrozenError."""
        answer: asyncio.Future[PGresult | Exception] = self._loop.create_future()

        def note(result: PGresult | Exception) -> None:
            if not answer.done():
                answer.set_result(result)

        self.send(statement, parameters, note)
        result = await answer
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        """Hang up, whatever is under way."""
        # Not `closed`: libpq may have closed the socket, and the next to get its number would not be heard.
        if not self._listens:
            return
        self._listens = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        if self._late is not None:
            self._late.cancel()
        self._pgconn.finish()

    def _flush(self) -> None:
        try:
            if not self._pgconn.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._end(error)

    def _receive(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.Error as error:
            self._end(error)
            return
        parted = False
        while not self.closed and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None and parted:
                break
            parted = result is None
            if result is not None:
                self._take(result)
        self._answered()

    def _take(self, result: PGresult) -> None:
        if result.status != ExecStatus.PIPELINE_SYNC:
            # To be prepared and to be committed may have results of their own; the first that failed says why.
            if self._outcome is None or self._outcome.status in _DONE:
                self._outcome = result
            return
        # Only here has it been committed.
        outcome, self._outcome = self._outcome or result, None
        if outcome.status in _DONE:
            self._under_way.popleft().then(outcome)
        elif isinstance(error := error_from_result(outcome), ONE_ROWS_FAULT):
            sent = self._under_way.popleft()
            if not self.lost.done():
                sent.then(error)
        else:
            self._end(error)
        if self.lost.done() and not self._under_way:
            self.close()

    def _end(self, error: Exception) -> None:
        self.close()
        self._tell_all(error)
        self._under_way.clear()

    def _tell_all(self, error: Exception) -> None:
        """What is under way is to be done again, the last first: each goes back in front of those after it."""
        if self.lost.done():
            return
        self.lost.set_result(error)
        for sent in reversed(self._under_way):
            sent.then(error)

    def _look_for_late(self) -> None:
        self._late = None
        # Where it was this process that did not run, the answer is there.
        self._receive()
        if self.closed or not self._under_way:
            return
        late_at = self._under_way[0].at + STATEMENT_SECONDS
        if self._loop.time() < late_at:
            self._late = self._loop.call_at(late_at, self._look_for_late)
        else:
            self._tell_all(FrozenError())
