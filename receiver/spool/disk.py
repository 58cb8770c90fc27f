"""What a disk is asked, in a thread that may hang: neither the loop nor the end of the process waits for it."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """One thing after the other. A daemon: an executor's threads are waited for at the exit, however long they hang."""

    def __init__(self, name: str) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it, and wait for it. Raises what it raises."""
        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Do it in its turn, whoever waits for it."""
        done: Future[T] = Future()

        def work() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is for whoever asked
                done.set_exception(error)
            else:
                done.set_result(result)

        self._asked.put(work)
        return done

    def close(self) -> None:
        """End once all that was asked is done."""
        self._asked.put(None)

    def _work(self) -> None:
        while work := self._asked.get():
            work()
