"""Many callers, one look-up: each waits for one that began after it came, and nobody can make it look up often."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from receiver.source import Address

PACE_SECONDS = 2.0
MOST_WAITING = 256
WAIT_SECONDS = 5.0
# An address that a look-up did not help is not worth another one at once.
FORGET_SECONDS = 30.0
MOST_REMEMBERED = 4096


class Flights:
    """Starts look-ups on demand and by the clock, PACE_SECONDS apart; one that hangs does not hold up the next."""

    def __init__(self, fly: Callable[[], Awaitable[None]], *, after: Callable[[], float]) -> None:
        self._fly = fly
        self._after = after
        self._wanted, self._landing, self._news = _future(), _future(), _future()
        self._waiting = 0
        self._in_vain: OrderedDict[Address, float] = OrderedDict()

    async def run(self) -> None:
        """Fly at once, then whenever somebody waits or the answers are old."""
        async with asyncio.TaskGroup() as flights:
            while True:
                landing, self._landing = self._landing, _future()
                self._wanted = _future()
                flight = flights.create_task(self._flown(landing))
                await asyncio.sleep(PACE_SECONDS)
                await self._until_wanted(flight)

    async def board(self, address: Address, *, until: Callable[[], bool]) -> None:
        """Wait for the next look-up to land, or until it has told enough."""
        if self._waiting >= MOST_WAITING or self._was_in_vain(address):
            return
        self._waiting += 1
        if not self._wanted.done():
            self._wanted.set_result(None)
        try:
            await self._wait(self._landing, until)
        finally:
            self._waiting -= 1
        if not until():
            self._in_vain[address] = asyncio.get_running_loop().time()
            self._in_vain.move_to_end(address)
            while len(self._in_vain) > MOST_REMEMBERED:
                self._in_vain.popitem(last=False)

    def tell(self) -> None:
        """There is news: let those who wait look."""
        news, self._news = self._news, _future()
        news.set_result(None)

    async def _flown(self, landing: "asyncio.Future[None]") -> None:
        try:
            await self._fly()
        finally:
            landing.set_result(None)

    async def _until_wanted(self, flight: "asyncio.Task[None]") -> None:
        """By the clock only once the last one landed: its answers say when."""
        await asyncio.wait({self._wanted, flight}, return_when=asyncio.FIRST_COMPLETED)
        if not self._wanted.done():
            await asyncio.wait({self._wanted}, timeout=self._after())

    async def _wait(self, landing: "asyncio.Future[None]", until: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        while not until() and not landing.done() and loop.time() < deadline:
            await asyncio.wait(
                {landing, self._news}, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )

    def _was_in_vain(self, address: Address) -> bool:
        at = self._in_vain.get(address)
        return at is not None and asyncio.get_running_loop().time() - at < FORGET_SECONDS


def _future() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()
