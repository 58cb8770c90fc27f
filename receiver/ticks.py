"""One timer for many that wait: one each was a twentieth of the time that an answer takes."""

import asyncio
from functools import cached_property
from typing import Protocol


class Waits(Protocol):
    """Who waits, and until when, by the loop's clock."""

    until: float

    @property
    def over(self) -> bool: ...
    def be_late(self) -> None: ...


class Ticks:
    """Tells each that its time is over, at most `seconds` late; whoever is over by then hears nothing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: list[Waits] = []
        self._ticks = False

    def add(self, one: Waits) -> None:
        """Look at it from now on."""
        self._waiting.append(one)
        if not self._ticks:
            self._ticks = True
            self._loop.call_later(self._seconds, self._tick)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Before Python 3.12 each look-up of the running loop asks the kernel for the process' id.
        return asyncio.get_running_loop()

    def _tick(self) -> None:
        now = self._loop.time()
        self._waiting = [one for one in self._waiting if not one.over]
        for one in self._waiting:
            if now >= one.until:
                one.be_late()
        self._ticks = bool(self._waiting)
        if self._ticks:
            self._loop.call_later(self._seconds, self._tick)
