"""Spooled rows -> Postgres, as soon as it takes rows again; also those of processes that died."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from receiver.arrival import Row
from receiver.binary import as_columns
from receiver.link import BROKEN
from receiver.metrics import Metrics
from receiver.postgres import ONE_ROWS_FAULT, check_durability, connected
from receiver.spool.depth import measure
from receiver.spool.disk import Disk
from receiver.spool.line import DamagedError, is_torn, read_line, write_line
from receiver.spool.segment import SUFFIX, Segment, listed
from receiver.spool.spool import Spool
from schemas.sql.queries import query

LOOK_SECONDS = 1.0
# Small statements: live callbacks share Postgres with these.
BATCH_ROWS, BATCH_BYTES = 200, 4 * 1_048_576

log = structlog.get_logger()


class Drain:
    """Looks every LOOK_SECONDS. Draining twice changes nothing, so a file is removed only after its last commit."""

    def __init__(self, database_url: str, spool: Spool, *, away: Callable[[], bool], metrics: Metrics) -> None:
        self._url = database_url
        self._spool = spool
        self._away = away
        self._metrics = metrics
        # Not the writer's: what is read here must not keep a callback waiting.
        self._disk = Disk("drain")
        self._looking: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        # Once at least, for the empty files of those that died before they had anything to write.
        self._tidied = False
        # What was said last of a file that cannot be drained: once is enough.
        self._told: dict[Path, str] = {}

    async def open(self) -> None:
        """Start looking; neither Postgres nor the folder need be there."""
        self._looking = asyncio.create_task(self._look_forever())

    async def close(self) -> None:
        """Stop; what is not drained stays for the next process."""
        tasks = [task for task in (self._looking, self._draining) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        self._disk.close()

    async def _look_forever(self) -> None:
        while True:
            try:
                self._spool.depth = await self._disk.run(measure, self._spool.folder, known=self._spool.depth)
            except OSError as error:
                self._spool.depth = replace(self._spool.depth, free_bytes=0.0)
                log.warning("spool.unread", folder=str(self._spool.folder), error=type(error).__name__)
            idle = self._draining is None or self._draining.done()
            if idle and not self._away() and (self._spool.depth.rows or not self._tidied):
                # A Postgres that freezes while it drains must not stop the looking.
                self._draining = asyncio.create_task(self._drain_or_say())
                self._draining.add_done_callback(_log_failure)
            await asyncio.sleep(LOOK_SECONDS)

    async def _drain_or_say(self) -> None:
        try:
            await self._drain()
        except BROKEN as error:
            log.warning("spool.undrained", error=type(error).__name__)

    async def _drain(self) -> None:
        await self._spool.retire()
        paths = await self._disk.run(listed, self._spool.folder, SUFFIX)
        async with connected(self._url) as connection:
            # What is on a disk is not given away for what is not: the inbox may not have asked yet.
            await check_durability(connection)
            for path in paths:
                await self._drain_file(connection, path)
        self._tidied = True

    async def _drain_file(self, connection: AsyncConnection[TupleRow], path: Path) -> None:
        """One that cannot be opened, read or removed keeps none of the others from Postgres."""
        try:
            segment = await self._disk.run(Segment.adopt, path)
            if segment is not None:
                try:
                    await self._drain_segment(connection, segment)
                finally:
                    self._disk.submit(segment.close)
            self._told.pop(path, None)
        except OSError as error:
            name = type(error).__name__
            if self._told.get(path) != name:
                log.exception("spool.undrained", segment=path.name, error=name)
            self._told[path] = name

    async def _drain_segment(self, connection: AsyncConnection[TupleRow], segment: Segment) -> None:
        contents, drained = Contents(segment), 0
        while rows := await self._disk.run(contents.take):
            refused = await insert(connection, rows)
            contents.damaged += map(write_line, refused)
            drained += len(rows) - len(refused)
            self._metrics.drained.inc(len(rows) - len(refused))
        if contents.damaged:
            await self._disk.run(segment.set_aside, contents.damaged)
            log.critical("spool.damaged", segment=segment.path.name, lines=len(contents.damaged))
        if contents.torn:
            log.warning("spool.torn", segment=segment.path.name)
        await self._disk.run(segment.remove, read_bytes=contents.read_bytes)
        log.info("spool.drained", segment=segment.path.name, rows=drained)


class Contents:
    """A segment, read from its start: the rows, and the lines that are none."""

    def __init__(self, segment: Segment) -> None:
        self._lines = segment.lines()
        # Of the segment, whatever became of them.
        self.read_bytes = 0
        self.damaged: list[bytes] = []
        # The last line of a process that died while it wrote: nobody was told that it is kept.
        self.torn = False

    def take(self) -> list[Row]:
        """The next rows; none only at the end, however much that is damaged comes before it. Raises OSError."""
        rows: list[Row] = []
        size = 0
        for line in self._lines:
            self.read_bytes += len(line)
            if line == b"\n":
                continue
            try:
                rows.append(read_line(line))
            except DamagedError:
                self._set_aside(line)
            else:
                size += len(line)
            if len(rows) == BATCH_ROWS or size > BATCH_BYTES:
                break
        return rows

    def _set_aside(self, line: bytes) -> None:
        if is_torn(line):
            self.torn = True
        else:
            self.damaged.append(line)


async def insert(connection: AsyncConnection[TupleRow], rows: Sequence[Row]) -> list[Row]:
    """Commit them; those whose own data Postgres refuses come back. Raises psycopg.Error where it takes none."""
    try:
        await connection.execute(query("callbacks", "insert_callbacks"), as_columns(rows))
    except ONE_ROWS_FAULT as error:
        if len(rows) == 1:
            log.exception("inbox.row_refused", callback_id=str(rows[0].id), sqlstate=error.sqlstate)
            return [*rows]
        middle = len(rows) // 2
        return [*await insert(connection, rows[:middle]), *await insert(connection, rows[middle:])]
    return []


def _log_failure(draining: "asyncio.Task[None]") -> None:
    """It is tried again; but what nobody foresaw has to be seen."""
    if not draining.cancelled() and (error := draining.exception()):
        log.critical("spool.undrained", exc_info=error)
