"""Many waiting callbacks -> one INSERT, one commit, then their answers; the spool while Postgres takes none."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from functools import partial

import structlog

from receiver.arrival import Arrival, Row
from receiver.columns import as_columns
from receiver.link import BROKEN, Link
from receiver.metrics import Metrics
from receiver.postgres import ONE_ROWS_FAULT
from receiver.spool.spool import Spool
from receiver.waiting import NotKeptError, Waiting, WaitingRows
from schemas.sealing import KeyRing
from schemas.sql.queries import query

# Jumio names no time limit; callers commonly give up after 3 to 10 s.
ANSWER_SECONDS = 2.5
# Of which the spool has these, should Postgres have used up the others.
SPOOL_SECONDS = 0.5
# A commit of our own, so that being able to keep is known before a callback needs it.
BEAT_SECONDS = 10.0
# The relay polls besides: more hints than this only cost commits.
WAKE_SECONDS = 0.05

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
        self._link = Link(database_url)
        self._waiting = WaitingRows()
        self._writer: asyncio.Task[None] | None = None
        self._beat_at = self._wake_at = 0.0
        self._relay_sleeps = False
        self._committed_at: float | None = None

    async def open(self) -> None:
        """Start writing; Postgres need not be there."""
        self._writer = asyncio.create_task(self._write_forever())
        self._writer.add_done_callback(_log_end)

    async def close(self) -> None:
        """Stop after the last waiting row, or when Postgres does not take it in the time that callers have."""
        if (last := self._waiting.last) and not self._link.away:
            await asyncio.wait((last.kept,), timeout=ANSWER_SECONDS)
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
        row = arrival.sealed(self._keys)
        deadline = self._waiting.now() + ANSWER_SECONDS
        if self._spool is None or row.state == "refused":
            await self._commit(row, until=deadline)
            return
        try:
            await self._commit(row, until=deadline - SPOOL_SECONDS)
        except NotKeptError:
            await self._spool.keep(row, until=deadline)

    async def _commit(self, row: Row, *, until: float) -> None:
        if self._spool and self._link.away:
            raise NotKeptError("away")
        if self._waiting.full:
            raise NotKeptError("full")
        kept = await self._waiting.add(row, until=until).kept
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
            await self._link.close()

    async def _prove(self) -> None:
        """Commit a row that is spooled anyway: a Postgres that is only half back then lets no caller wait."""
        if self._spool and self._spool.last:
            columns = as_columns([self._spool.last])
            with contextlib.suppress(*ONE_ROWS_FAULT):
                await self._link.execute(query("callbacks", "insert_callbacks"), columns, then=self._note_commit)
            self._spool.last = None
        else:
            await self._beat()

    async def _serve(self) -> None:
        while True:
            if len(self._waiting):
                await self._flush()
            if self._relay_sleeps and self._waiting.now() >= self._wake_at:
                self._relay_sleeps = False
                self._wake_at = self._waiting.now() + WAKE_SECONDS
                await self._link.execute(query("callbacks", "wake_relay"), then=self._note_commit)
            if self._waiting.now() >= self._beat_at:
                await self._beat()
            await self._until_work()

    async def _beat(self) -> None:
        self._beat_at = self._waiting.now() + BEAT_SECONDS
        depth = self._spool.depth if self._spool else None
        beat = {
            "process": self._process,
            "rows": depth and depth.rows,
            "since": depth and depth.since,
            "damaged": depth and depth.damaged_files,
        }
        await self._link.execute(query("pulses", "beat_of_receiver"), beat, then=self._note_commit)

    async def _until_work(self) -> None:
        if not len(self._waiting):
            next_at = min(self._beat_at, self._wake_at) if self._relay_sleeps else self._beat_at
            # It wakes a turn of the loop later: those that arrived together share the commit.
            await self._waiting.arrival(until=next_at)

    async def _flush(self) -> None:
        batch = self._waiting.take()
        try:
            await self._insert(batch)
        except ONE_ROWS_FAULT:
            await self._flush_one_by_one(batch)
        except BROKEN:
            self._waiting.put_back(batch)
            raise

    async def _flush_one_by_one(self, batch: Sequence[Waiting]) -> None:
        """One row's data was refused; its neighbours are kept all the same."""
        for position, waiting in enumerate(batch):
            try:
                await self._insert([waiting])
            except ONE_ROWS_FAULT as error:
                log.exception("inbox.row_refused", callback_id=str(waiting.row.id), sqlstate=error.sqlstate)
                waiting.settle(kept=False)
            except BROKEN:
                self._waiting.put_back(batch[position:])
                raise

    async def _insert(self, batch: Sequence[Waiting]) -> None:
        then = partial(self._note_kept, batch)
        if len(batch) == 1:
            await self._link.execute(query("callbacks", "insert_callback"), batch[0].row._asdict(), then=then)
        else:
            columns = as_columns(waiting.row for waiting in batch)
            await self._link.execute(query("callbacks", "insert_callbacks"), columns, then=then)

    def _note_kept(self, batch: Sequence[Waiting]) -> None:
        """It is committed: the answers first."""
        for waiting in batch:
            waiting.settle(kept=True)
        self._note_commit()
        self._relay_sleeps = self._relay_sleeps or any(waiting.row.state == "stored" for waiting in batch)
        # Behind those who wait: a lone callback's answer took a tenth longer with this in front of it.
        asyncio.get_running_loop().call_soon(self._tell, batch)

    def _tell(self, batch: Sequence[Waiting]) -> None:
        for state, count in Counter(waiting.row.state for waiting in batch).items():
            self._metrics.kept.labels(state).inc(count)
        self._metrics.batch.observe(len(batch))
        log.info("callbacks.kept", callback_ids=[str(waiting.row.id) for waiting in batch])

    def _note_commit(self) -> None:
        self._committed_at = self._waiting.now()


def _log_end(writer: "asyncio.Task[None]") -> None:
    if not writer.cancelled():
        log.critical("inbox.stopped", exc_info=writer.exception())
