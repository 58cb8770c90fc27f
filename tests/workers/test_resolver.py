"""Names are resolved in bounded time, whatever the system's resolver does."""

import socket
import threading
import time
from collections.abc import Sequence

import pytest

from workers.destinations.resolver import bounded, resolve


def test_the_system_is_asked() -> None:
    assert set(resolve("localhost", 80)) <= {"127.0.0.1", "::1"}
    assert resolve("192.0.2.1", 80) == ["192.0.2.1"]


def test_a_failure_is_passed_on() -> None:
    def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    with pytest.raises(socket.gaierror):
        bounded(nowhere)("hooks.example", 443)


def test_a_black_hole_costs_the_bound_and_no_more() -> None:
    ended = threading.Event()

    def black_hole(_host: str, _port: int) -> Sequence[str]:
        ended.wait(10)
        return []

    ask = bounded(black_hole, seconds=0.1, most=2)
    started = time.monotonic()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            ask("hooks.example", 443)
    assert time.monotonic() - started < 2
    assert sum(thread.name == "resolver" for thread in threading.enumerate()) == 2

    ended.set()
    deadline = time.monotonic() + 5
    while any(thread.name == "resolver" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bounded(black_hole, seconds=5, most=1)("hooks.example", 443) == []
