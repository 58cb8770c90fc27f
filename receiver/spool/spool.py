"""Many waiting rows -> one write, one fsync, then their answers: the inbox's other place while Postgres is away."""

import asyncio
import contextlib
import errno
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog

from receiver.arrival import Arrival, Row
from receiver.metrics import Metrics
from receiver.spool.depth import Depth
from receiver.spool.disk import Disk
from receiver.spool.line import write_line
from receiver.spool.segment import Segment
from receiver.waiting import NotKeptError, Waiting, WaitingRows
from schemas.sealing import KeyRing

# Small enough to be drained, and its room given back, in a second or two.
MOST_SEGMENT_BYTES = 16 * 1_048_576
# A disk that refused is asked again by one caller in this time; the others hear 503 at once.
PAUSE_SECONDS = 0.5
HANG_SECONDS = 2.0
# A disk that refused is tried without a caller, too, so that readiness comes back by itself.
PROVE_SECONDS = 5.0

log = structlog.get_logger()


class Spool:
    """What `keep` returned for is in a file, fsynced. The files of dead processes are drained by living ones."""

    def __init__(self, folder: Path, keys: KeyRing, *, metrics: Metrics) -> None:
        self.folder = folder
        self._keys = keys
        self._metrics = metrics
        self._waiting = WaitingRows()
        self._arrived = asyncio.Event()
        # One thread: writes come one after another, and a disk that hangs hangs nothing else.
        self._disk = Disk("spool")
        self._segment: Segment | None = None
        self._writer: asyncio.Task[None] | None = None
        self._proven = False
        self._refused_at = -math.inf
        self._writing_since: float | None = None
        # The row that was spooled last, until Postgres has taken it; and what a look at the folder found.
        self.last: Row | None = None
        self.depth = Depth()

    async def open(self) -> None:
        """Start writing; whether the disk takes it is known soon after."""
        self._writer = asyncio.create_task(self._write_forever())
        self._writer.add_done_callback(_log_end)

    async def close(self) -> None:
        """Stop after what is being written, and leave no empty file behind, unless the disk hangs."""
        seconds = 0 if self._hangs else 1
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait((self._writer,), timeout=1)
        with contextlib.suppress(OSError):
            async with asyncio.timeout(seconds):
                await self.retire()
        self._disk.close()

    @property
    def writes(self) -> bool:
        """Whether the writer runs; without it the process must be started anew."""
        return self._writer is not None and not self._writer.done()

    @property
    def usable(self) -> bool:
        """Whether the disk took what it was given last."""
        return self._proven and not self._hangs

    def depth_seconds(self) -> float:
        """How long the oldest row has waited, by the last look."""
        return (datetime.now(UTC) - self.depth.since).total_seconds() if self.depth.since else 0.0

    async def keep(self, arrival: Arrival, *, until: float) -> None:
        """Return once it is fsynced. Raises NotKeptError, at once where the disk is known not to take it.

        `until` is a time of the loop's clock.
        """
        if self._waiting.full or self._hangs or self._refused_just_now:
            raise NotKeptError("spool")
        waiting = self._waiting.add(arrival, until=until)
        self._arrived.set()
        if not await waiting.kept:
            raise NotKeptError("spool")

    async def retire(self) -> None:
        """Let go of the segment that is being written, so that it can be drained; the next row begins another."""
        await self._disk.run(self._leave_segment)

    @property
    def _hangs(self) -> bool:
        return self._writing_since is not None and _now() - self._writing_since > HANG_SECONDS

    @property
    def _refused_just_now(self) -> bool:
        return not self._proven and _now() - self._refused_at < PAUSE_SECONDS

    async def _write_forever(self) -> None:
        await self._write([])
        while True:
            await self._until_work()
            await self._write(self._waiting.take())

    async def _until_work(self) -> None:
        if not len(self._waiting):
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._proven else PROVE_SECONDS):
                    await self._arrived.wait()

    async def _write(self, batch: Sequence[Waiting]) -> None:
        """An empty batch proves that the disk takes writes."""
        rows = [waiting.arrival.sealed(self._keys) for waiting in batch]
        self._writing_since = _now()
        try:
            await self._disk.run(self._append, rows)
        except OSError as error:
            self._note_refusal(error, batch)
        else:
            self._note_kept(batch)
            if rows:
                self.last = rows[-1]
        finally:
            self._writing_since = None

    def _note_refusal(self, error: OSError, batch: Sequence[Waiting]) -> None:
        if self._proven or self._refused_at < 0:
            log.critical("spool.refused", folder=str(self.folder), error=errno.errorcode.get(error.errno or 0))
        self._proven, self._refused_at = False, _now()
        self._metrics.spool_refusals.inc()
        for waiting in batch:
            waiting.settle(kept=False)

    def _note_kept(self, batch: Sequence[Waiting]) -> None:
        if not self._proven and self._refused_at > 0:
            log.info("spool.usable", folder=str(self.folder))
        self._proven = True
        for waiting in batch:
            waiting.settle(kept=True)
        if batch:
            self._metrics.spooled.inc(len(batch))
            log.warning("callbacks.spooled", callback_ids=[str(waiting.arrival.id) for waiting in batch])

    def _append(self, rows: list[Row]) -> None:
        """In the disk's thread. After an error the file is given up: what an fsync missed it may never say again."""
        try:
            if self._segment is None:
                self._segment = Segment.create(self.folder)
            if rows:
                self._segment.append([write_line(row) for row in rows])
            else:
                self._segment.prove()
        except OSError:
            self._leave_segment()
            raise
        if self._segment.size >= MOST_SEGMENT_BYTES:
            self._leave_segment()

    def _leave_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            with contextlib.closing(segment):
                if not segment.size:
                    segment.remove(read_bytes=0)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _log_end(writer: "asyncio.Task[None]") -> None:
    if not writer.cancelled():
        log.critical("spool.stopped", exc_info=writer.exception())
