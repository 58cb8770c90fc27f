"""What was acknowledged is judged as well: a door that keeps nothing loses nothing, and fails the proof."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from deploy.simulator.caller import Post, Sent
from tests.crash_proof.availability import lacking
from tests.crash_proof.ledger import ALREADY_DOWN, QUIET, Ledger, Names
from tests.crash_proof.play import FAULTS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POST = Post("key", "PROCESSED", b"{}", "application/json", "127.0.0.11", NOW)
CLOSED, KEPT_LITTLE = "faults behind the door do not close it", "a receiver that is up keeps what it gets"
KEPT_NOTHING = "most is acknowledged"
POSTGRES, VALKEY, FULL = ("restart postgres",), ("valkey away",), ("spool's disk full",)
KILLED, DOWN = ("kill receiver",), ("stop relay", ALREADY_DOWN)


@pytest.mark.parametrize(
    ("sent", "broken"),
    [
        # Enough of a sample: 99.9 % is what it says.
        ([(1998, 200, POSTGRES), (2, 503, POSTGRES)], []),
        ([(1997, 200, POSTGRES), (3, 503, POSTGRES)], [CLOSED]),
        ([(1997, 200, POSTGRES), (3, None, POSTGRES)], [CLOSED]),
        # Too little of one: a single request is 3 % of it.
        ([(30, 200, POSTGRES), (1, 503, POSTGRES)], []),
        ([(30, 200, POSTGRES), (2, 503, POSTGRES)], [CLOSED, KEPT_LITTLE]),
        # The receiver does not know Valkey.
        ([(300, 200, VALKEY), (1, 503, VALKEY)], [CLOSED]),
        # Everything else, together.
        ([(980, 200, ("stop postgres",)), (20, 503, ("cut before INSERT",))], [KEPT_LITTLE]),
        ([(995, 200, ("stop postgres",)), (5, 503, ("cut before INSERT",))], []),
        # Nobody is there to answer, or there is no room: what is answered counts all the same.
        ([(50, 200, KILLED), (60, None, KILLED), (20, None, DOWN)], []),
        ([(50, 200, KILLED), (20, 503, KILLED)], [KEPT_LITTLE]),
        ([(60, 200, FULL), (40, 503, FULL)], []),
        # Receivers that never come back, and receivers that keep nothing.
        ([(50, 200, KILLED), (60, None, DOWN)], [KEPT_NOTHING]),
        ([(100, 503, QUIET)], [KEPT_LITTLE, KEPT_NOTHING]),
        ([(100, None, KILLED)], [KEPT_NOTHING]),
    ],
)
def test_what_may_be_lacking_is_little_and_has_a_reason(
    sent: Sequence[tuple[int, int | None, Names]], broken: list[str]
) -> None:
    ledger = Ledger()
    assert {name for *_, faults in sent for name in faults} <= {*FAULTS, *QUIET, ALREADY_DOWN}
    for count, answer, faults in sent:
        with ledger.during(faults):
            for _ in range(count):
                ledger.note(Sent(POST, 0.0, 0.1, answer), final=True, faults=faults)

    assert [problem.promise for problem in lacking(ledger.entries)] == broken


def test_what_a_fault_of_the_round_before_cost_is_not_counted_against_the_next() -> None:
    ledger = Ledger()
    with ledger.during(POSTGRES):
        for answer, began in ((200, POSTGRES), (200, FULL), (None, KILLED), (None, KILLED), (503, FULL), (503, FULL)):
            ledger.note(Sent(POST, 0.0, 0.1, answer), final=True, faults=began)

    assert list(lacking(ledger.entries)) == []
