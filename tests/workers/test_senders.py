"""The threads that deliver: several at once, never more than there are, and none lost without a word."""

import threading
from uuid import UUID, uuid4

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.testing import capture_logs

from workers.senders import Senders


def test_a_slow_one_holds_up_no_other_until_all_are_busy() -> None:
    release, started = threading.Event(), threading.Semaphore(0)

    def deliver(_delivery_id: UUID) -> None:
        started.release()
        release.wait(10)

    senders = Senders(deliver, count=2)
    senders.take(uuid4())
    senders.take(uuid4())
    third = threading.Thread(target=senders.take, args=[uuid4()])
    third.start()

    assert started.acquire(timeout=5)
    assert started.acquire(timeout=5)
    third.join(0.1)
    assert third.is_alive()
    release.set()
    third.join(5)
    assert not third.is_alive()
    senders.close()
    assert started.acquire(timeout=0)


def test_the_end_waits_for_what_is_under_way() -> None:
    sent: list[UUID] = []
    going = threading.Event()

    def deliver(delivery_id: UUID) -> None:
        going.wait(5)
        sent.append(delivery_id)

    senders = Senders(deliver, count=1)
    delivery_id = uuid4()
    senders.take(delivery_id)
    threading.Timer(0.05, going.set).start()
    senders.close()

    assert sent == [delivery_id]


def test_the_log_knows_the_row_and_an_error_is_told_by_its_class() -> None:
    seen: list[object] = []

    def deliver(_delivery_id: UUID) -> None:
        seen.append(get_contextvars().get("row"))
        raise ConnectionError("a value")

    with bound_contextvars(row="the row"), capture_logs() as logs:
        senders = Senders(deliver, count=1)
        senders.take(uuid4())
        senders.close()

    assert seen == ["the row"]
    [entry] = logs
    assert entry["event"] == "delivery.interrupted"
    assert isinstance(entry["exc_info"], ConnectionError)


@pytest.mark.parametrize("rounds", [50])
def test_a_place_is_free_again_after_an_error(rounds: int) -> None:
    def deliver(_delivery_id: UUID) -> None:
        raise ConnectionError

    senders = Senders(deliver, count=2)
    with capture_logs():
        for _ in range(rounds):
            senders.take(uuid4())
        senders.close()
