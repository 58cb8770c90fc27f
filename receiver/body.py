"""The request's body, up to a limit and a deadline; what ended early is never mistaken for a body."""

import asyncio
from dataclasses import dataclass

from starlette.types import Receive

from receiver.ticks import Ticks

# How long somebody who sent too much is listened to, so that the answer is read and not lost in a reset.
LINGER_SECONDS = 2.0
LINGER_FACTOR = 4
# How late a caller may hear that its body took too long.
TICK_SECONDS = 0.1


class IncompleteError(Exception):
    """The caller went away before the end of its body."""


class SlowError(Exception):
    """The caller took too long over its body."""


class Deadline:
    """As asyncio.timeout, at a fraction of its cost, for what is not cancelled by anyone else. Raises SlowError."""

    __slots__ = ("_task", "late", "until")

    def __init__(self, seconds: float, ticks: Ticks) -> None:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task(loop)
        self.until = loop.time() + seconds
        self.late = False
        ticks.add(self)

    @property
    def over(self) -> bool:
        """Whether what it is for has ended."""
        return self._task is None

    def be_late(self) -> None:
        """End what it is for."""
        self.late = True
        if self._task is not None:
            self._task.cancel()

    def __enter__(self) -> None:
        """Nothing: it runs since it was made."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._task = None
        if self.late and kind is asyncio.CancelledError:
            raise SlowError from None


@dataclass(slots=True, repr=False)
class Body:
    """What arrived; `over` if there was more than the limit, `more` if there may be still more."""

    data: bytes
    over: bool = False
    more: bool = False


async def read_body(receive: Receive, *, limit: int, seconds: float, ticks: Ticks) -> Body:
    """Read to the end, or one byte past the limit. Raises IncompleteError, SlowError."""
    with Deadline(seconds, ticks):
        chunk, more = await _next(receive)
        # Nearly every callback comes in one piece.
        chunks, size = [chunk], len(chunk)
        while more and size <= limit:
            chunk, more = await _next(receive)
            chunks.append(chunk)
            size += len(chunk)
    data = b"".join(chunks) if len(chunks) > 1 else chunk
    return Body(data[:limit], over=True, more=more) if size > limit else Body(data)


async def listen_on(receive: Receive, *, limit: int) -> None:
    """Read and forget what follows, within reason."""
    size, more = 0, True
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while more and size < limit * LINGER_FACTOR:
                chunk, more = await _next(receive)
                size += len(chunk)
    except (TimeoutError, IncompleteError):
        return


async def _next(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise IncompleteError
    return message.get("body", b""), message.get("more_body", False)
