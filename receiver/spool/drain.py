"""Spooled rows -> Postgres, as soon as it takes rows again; also those of processes that died."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from receiver.arrival import Row
from receiver.binary import as_columns
from receiver.link import BROKEN
from receiver.metrics import Metrics
from receiver.postgres import ONE_ROWS_FAULT, connected
from receiver.spool.depth import measure
from receiver.spool.line import DamagedError, read_line, write_line
from receiver.spool.segment import SUFFIX, Segment
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
        self._looking: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        # Once at least, for the empty files of those that died before they had anything to write.
        self._tidied = False

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

    async def _look_forever(self) -> None:
        while True:
            try:
                self._spool.depth = await asyncio.to_thread(measure, self._spool.folder, known=self._spool.depth)
            except OSError as error:
                log.warning("spool.unread", folder=str(self._spool.folder), error=type(error).__name__)
            idle = self._draining is None or self._draining.done()
            if idle and not self._away() and (self._spool.depth.rows or not self._tidied):
                # A Postgres that freezes while it drains must not stop the looking.
                self._draining = asyncio.create_task(self._drain_or_say())
            await asyncio.sleep(LOOK_SECONDS)

    async def _drain_or_say(self) -> None:
        try:
            await self._drain()
        except BROKEN as error:
            log.warning("spool.undrained", error=type(error).__name__)

    async def _drain(self) -> None:
        await self._spool.retire()
        paths = sorted(self._spool.folder.glob(f"*{SUFFIX}"))
        async with connected(self._url) as connection:
            for path in paths:
                segment = await asyncio.to_thread(Segment.adopt, path)
                if segment is not None:
                    with contextlib.closing(segment):
                        await self._drain_segment(connection, segment)
        self._tidied = True

    async def _drain_segment(self, connection: AsyncConnection[TupleRow], segment: Segment) -> None:
        contents, drained = Contents(segment), 0
        while rows := await asyncio.to_thread(contents.take):
            refused = await insert(connection, rows)
            contents.damaged += map(write_line, refused)
            drained += len(rows) - len(refused)
            self._metrics.drained.inc(len(rows) - len(refused))
        if contents.damaged:
            await asyncio.to_thread(segment.set_aside, contents.damaged)
            log.critical("spool.damaged", segment=segment.path.name, lines=len(contents.damaged))
        if contents.torn:
            log.warning("spool.torn", segment=segment.path.name)
        await asyncio.to_thread(segment.remove)
        log.info("spool.drained", segment=segment.path.name, rows=drained)


class Contents:
    """A segment, read from its start: the rows, and the lines that are none."""

    def __init__(self, segment: Segment) -> None:
        self._lines = segment.lines()
        self.damaged: list[bytes] = []
        # The last line of a process that died while it wrote: nobody was told that it is kept.
        self.torn = False

    def take(self) -> list[Row]:
        """The next rows; none at the end."""
        rows: list[Row] = []
        size = 0
        for line in self._lines:
            try:
                rows.append(read_line(line))
            except DamagedError:
                self._set_aside(line)
            size += len(line)
            if len(rows) == BATCH_ROWS or size > BATCH_BYTES:
                break
        return rows

    def _set_aside(self, line: bytes) -> None:
        if line.endswith(b"\n"):
            self.damaged.append(line)
        else:
            self.torn = True


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
