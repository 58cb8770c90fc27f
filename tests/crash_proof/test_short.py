"""The proof in its short form: a fixed seed, a few faults of every kind, and the same comparison."""

from pathlib import Path

import pytest

from tests.crash_proof.compare import Problem
from tests.crash_proof.play import play

# What can leave a row claimed (75 s) comes first, what costs a lease (30 s) last: they run out together.
FAULTS = (
    "kill worker",
    "stop postgres",
    "kill all of postgres",
    "restart postgres",
    "cut before INSERT is confirmed",
    "kill after INSERT",
    "cut before INSERT",
    "kill relay",
    "stop receiver",
    "dns silent",
    "valkey read-only",
    "flushall",
)


@pytest.mark.timeout(400)
def test_nothing_acknowledged_is_lost_whatever_dies(tmp_path: Path) -> None:
    played = play(rounds=0, seed=4, rate=8, names=FAULTS, logs=tmp_path, worker_processes=2)

    none: list[Problem] = []
    assert played.problems == none
    assert sorted(played.injected) == sorted(FAULTS)
    assert played.cuts == 3
    # Both receivers have taken some, and not all of it: the faults were felt.
    tally = played.ledger.tally()
    assert tally.sent > tally.acknowledged > tally.sent / 2
