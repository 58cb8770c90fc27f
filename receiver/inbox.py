"""Many waiting callbacks -> one INSERT, one commit, then their answers; the spool while Postgres takes none."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, partial

import structlog
from psycopg.pq.abc import PGresult

from receiver.arrival import Arrival, Row
from receiver.binary import as_columns, as_values, integer, text, timestamp
from receiver.link import BROKEN, Link
from receiver.metrics import Metrics
from receiver.postgres import ONE_ROWS_FAULT
from receiver.spool.spool import Spool
from receiver.waiting import NotKeptError, Waiting, WaitingRows
from receiver.wire import Statement
from schemas.sealing import KeyRing

# Jumio names no time limit; callers commonly give up after 3 to 10 s.
ANSWER_SECONDS = 2.5
# Of which the spool has these, should Postgres have used up the others.
SPOOL_SECONDS = 0.5
# A commit of our own, so that being able to keep is known before a callback needs it.
BEAT_SECONDS = 10.0
# The relay polls besides: more hints than this only cost commits.
WAKE_SECONDS = 0.05
# What was kept is logged and counted so much later at most.
TELL_SECONDS = 0.05

INSERT = Statement.named("callbacks", "insert_callback", *Row._fields)
INSERT_MANY = Statement.named("callbacks", "insert_callbacks", *Row._fields)
BEAT = Statement.named("pulses", "beat_of_receiver", "process", "rows", "since", "damaged", "folder")
WAKE_RELAY = Statement.named("callbacks", "wake_relay")

log = structlog.get_logger()


class Inbox:
    """The one door to durable storage. What `keep` returned for is committed."""

    def __init__(
        self, database_url: str, keys: KeyRing, *, process: str, metrics: Metrics, spool: Spool | None = None
    ) -> None:
        self._keys = keys
        self._spool = spool
        self._process = process
        self._metrics = metrics
        self._link = Link(database_url, answered=self._write)
        self._waiting = WaitingRows()
        self._writer: asyncio.Task[None] | None = None
        self._wakes_relay = False
        self._untold: list[Sequence[Waiting]] = []
        self._wake_at = 0.0
        self._committed_at: float | None = None

    async def open(self) -> None:
        """Start writing; Postgres need not be there."""
        self._writer = asyncio.create_task(self._write_forever())
        self._writer.add_done_callback(_log_end)

    async def close(self) -> None:
        """Stop after the last waiting row, or when Postgres does not take it in the time that callers have."""
        if (last := self._waiting.last) and not self._link.away:
            await asyncio.wait((last.kept,), timeout=ANSWER_SECONDS)
        self._tell()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait((self._writer,), timeout=1)

    @property
    def writes(self) -> bool:
        """Whether the writer runs; without it the process must be started anew."""
        return self._writer is not None and not self._writer.done()

    @property
    def away(self) -> bool:
        """Whether Postgres is known not to answer right now."""
        return self._link.away

    def durable_seconds(self) -> float | None:
        """Seconds since the last commit; None before the first."""
        return None if self._committed_at is None else self._waiting.now() - self._committed_at

    async def keep(self, arrival: Arrival) -> None:
        """Return once the arrival is on disk: committed, or else spooled.

        Raises NotKeptError, after ANSWER_SECONDS at the latest. What was refused is not worth the spool's room.
        """
        deadline = self._waiting.now() + ANSWER_SECONDS
        if self._spool is None or arrival.state == "refused":
            await self._commit(arrival, until=deadline)
            return
        try:
            await self._commit(arrival, until=deadline - SPOOL_SECONDS)
        except NotKeptError:
            await self._spool.keep(arrival, until=deadline)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def _commit(self, arrival: Arrival, *, until: float) -> None:
        if self._spool and self._link.away:
            raise NotKeptError("away")
        if self._waiting.full:
            raise NotKeptError("full")
        waiting = self._waiting.add(arrival, until=until)
        self._write()
        kept = await waiting.kept
        if not kept:
            raise NotKeptError("late" if kept is None else "unwritable")

    async def _write_forever(self) -> None:
        # With a spool nobody needs to wait for Postgres; without one, it may be back before the caller gives up.
        give_up = self._waiting.release if self._spool else self._waiting.drop_expired
        try:
            while True:
                try:
                    await self._link.connect()
                    await self._prove()
                    self._link.come_back()
                    await self._serve()
                except BROKEN as error:
                    self._link.drop(error)
                give_up()
                await self._link.pause()
        finally:
            self._link.close()

    async def _prove(self) -> None:
        """Commit a row that is spooled anyway: a Postgres that is only half back then lets no caller wait."""
        if self._spool and self._spool.last:
            with contextlib.suppress(*ONE_ROWS_FAULT):
                await self._link.ask(INSERT, as_values(self._spool.last))
                self._note_commit()
            self._spool.last = None
        else:
            await self._beat()

    async def _serve(self) -> None:
        """Rows are written as they come; what is left to do is to beat until the connection breaks."""
        self._write()
        while True:
            await self._link.hold(BEAT_SECONDS)
            await self._beat()

    async def _beat(self) -> None:
        spooled: list[bytes | None] = [None, None, None, None]
        if self._spool:
            depth = self._spool.depth
            since = timestamp(depth.since) if depth.since else None
            name = text(depth.name) if depth.name else None
            spooled = [integer(depth.rows), since, integer(depth.damaged_files), name]
        await self._link.ask(BEAT, [text(self._process), *spooled])
        self._note_commit()

    def _write(self) -> None:
        while self._link.wants(len(self._waiting)):
            self._insert(self._waiting.take())

    def _insert(self, batch: Sequence[Waiting]) -> None:
        then = partial(self._note_answer, batch)
        # Sealed one after another: among all else that a request asks for, the processor's caches forget the cipher.
        rows = [waiting.arrival.sealed(self._keys) for waiting in batch]
        if len(rows) == 1:
            self._link.send(INSERT, as_values(rows[0]), then)
        else:
            self._link.send(INSERT_MANY, [*as_columns(rows).values()], then)

    def _note_answer(self, batch: Sequence[Waiting], result: PGresult | Exception) -> None:
        if not isinstance(result, Exception):
            self._note_kept(batch)
        elif not isinstance(result, ONE_ROWS_FAULT):
            self._waiting.put_back(batch)
        elif len(batch) == 1:
            refused = str(batch[0].arrival.id)
            log.error("inbox.row_refused", callback_id=refused, sqlstate=result.sqlstate, exc_info=result)
            batch[0].settle(kept=False)
        else:
            # One row's data was refused; its neighbours are kept all the same.
            for waiting in batch:
                self._insert([waiting])

    def _note_kept(self, batch: Sequence[Waiting]) -> None:
        """It is committed: the answers first."""
        for waiting in batch:
            waiting.settle(kept=True)
        self._note_commit()
        if not self._wakes_relay and any(waiting.arrival.state == "stored" for waiting in batch):
            self._wakes_relay = True
            self._loop.call_at(max(self._wake_at, self._waiting.now()), self._wake_relay)
        if not self._untold:
            self._loop.call_later(TELL_SECONDS, self._tell)
        self._untold.append(batch)

    def _tell(self) -> None:
        """Log and count what was kept; at once, it was a tenth of the time to a lone caller's next answer."""
        untold, self._untold = self._untold, []
        if not untold:  # told at the end, before the timer
            return
        for batch in untold:
            self._metrics.batch.observe(len(batch))
        arrivals = [waiting.arrival for batch in untold for waiting in batch]
        for state, count in Counter(arrival.state for arrival in arrivals).items():
            self._metrics.kept.labels(state).inc(count)
        log.info("callbacks.kept", callback_ids=[str(arrival.id) for arrival in arrivals])

    def _wake_relay(self) -> None:
        self._wakes_relay = False
        self._wake_at = self._waiting.now() + WAKE_SECONDS
        self._link.send(WAKE_RELAY, (), _heed_nothing)

    def _note_commit(self) -> None:
        self._committed_at = self._waiting.now()


def _heed_nothing(_result: PGresult | Exception) -> None:
    """A hint that is lost is no loss: the relay polls."""


def _log_end(writer: "asyncio.Task[None]") -> None:
    if not writer.cancelled():
        log.critical("inbox.stopped", exc_info=writer.exception())
