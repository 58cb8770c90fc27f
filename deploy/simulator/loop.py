"""An event loop in a thread of its own, so that synchronous tests and the demo can use the simulator."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# Far above anything that is run here: a hang becomes a failure instead of a stuck build.
STUCK_SECONDS = 60.0


class LoopThread:
    """Work that is still going when it stops is cancelled and awaited, so nothing leaks into the next test."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event

    def start(self) -> None:
        self._ready.clear()
        self._thread = threading.Thread(target=asyncio.run, args=(self._live(),), name=self._name, daemon=True)
        self._thread.start()
        self._ready.wait(STUCK_SECONDS)

    def run(self, work: Coroutine[Any, Any, T], seconds: float | None = STUCK_SECONDS) -> T:
        """Run it in the loop and wait here for what it returns."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except BaseException:
            # An interrupted caller must not leave its work behind.
            future.cancel()
            raise

    def stop(self) -> None:
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(STUCK_SECONDS)
        self._thread = None

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._ready.set()
        await self._end.wait()
