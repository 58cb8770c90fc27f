"""Waiting for what comes true soon: by looking, for as long as a machine that is busy may need."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
_LOOK_SECONDS = 0.02


def until(found: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What it finds, once that is true or not empty."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(_LOOK_SECONDS)
    return value


async def eventually(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """The same in a loop, which goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(_LOOK_SECONDS)
