"""Arrivals that wait to be rows on disk, in order, within a bound of rows and bytes."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from receiver.arrival import Arrival
from receiver.ticks import Ticks

# Two seconds at a thousand a second; the bytes are those of bodies.
MOST_WAITING_ROWS, MOST_WAITING_BYTES = 2000, 64 * 1_048_576
# One statement stays well below a second.
MOST_ROWS, MOST_BYTES = 500, 8 * 1_048_576
# How late a caller may hear that its time is over.
TICK_SECONDS = 0.05
# A row whose caller heard 503 is still worth keeping when Postgres is back at once; later it is only memory.
HOLD_SECONDS = 10.0


class NotKeptError(Exception):
    """It is not known to be on disk, so the answer must not say that it is: full, late, unwritable or no spool."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One arrival, and whether it is kept once that is known; None where it was not known in time."""

    arrival: Arrival
    kept: "asyncio.Future[bool | None]"
    since: float
    until: float

    @property
    def over(self) -> bool:
        """Whether the caller was told."""
        return self.kept.done()

    def be_late(self) -> None:
        """Tell the caller that it is not known in time."""
        self.settle(kept=None)

    def settle(self, *, kept: bool | None) -> None:
        """Tell the caller, if it still waits."""
        if not self.kept.done():
            self.kept.set_result(kept)


class WaitingRows:
    """A queue of what is to be rows, and of those who wait for them."""

    def __init__(self) -> None:
        self._rows: deque[Waiting] = deque()
        self._bytes = 0
        self._ticks = Ticks(TICK_SECONDS)
        # The one that came last, whether it still waits or not.
        self.last: Waiting | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def now(self) -> float:
        """Of the loop's clock."""
        return self._loop.time()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Before Python 3.12 each look-up of the running loop asks the kernel for the process' id.
        return asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Whether one more would be too much."""
        return len(self._rows) >= MOST_WAITING_ROWS or self._bytes >= MOST_WAITING_BYTES

    def add(self, arrival: Arrival, *, until: float) -> Waiting:
        """Queue what a caller waits for until then, by the loop's clock."""
        waiting = self.last = Waiting(arrival, self._loop.create_future(), self._loop.time(), until)
        self._rows.append(waiting)
        self._ticks.add(waiting)
        self._bytes += len(arrival.body)
        return waiting

    def take(self) -> list[Waiting]:
        """As many as one statement should hold, oldest first."""
        batch: list[Waiting] = []
        size = 0
        while self._rows and len(batch) < MOST_ROWS and size < MOST_BYTES:
            batch.append(self._rows.popleft())
            size += len(batch[-1].arrival.body)
        self._bytes -= size
        return batch

    def put_back(self, batch: Iterable[Waiting]) -> None:
        """Rows that may or may not be committed, to be written again: the same ids change nothing that is there."""
        rows = list(batch)
        self._rows.extendleft(reversed(rows))
        self._bytes += sum(len(waiting.arrival.body) for waiting in rows)
        self.drop_expired()

    def release(self) -> None:
        """Let every caller look for another place."""
        for waiting in self._rows:
            waiting.settle(kept=False)
        self._rows.clear()
        self._bytes = 0

    def drop_expired(self) -> None:
        """Forget what nobody waits for any more."""
        now = asyncio.get_running_loop().time()
        while self._rows and now - self._rows[0].since > HOLD_SECONDS:
            waiting = self._rows.popleft()
            self._bytes -= len(waiting.arrival.body)
            waiting.settle(kept=False)
