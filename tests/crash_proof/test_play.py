"""The order of the faults: all of them, repeatable, and no two at once that would undo each other."""

from random import Random

from tests.crash_proof.faults import FAULTS
from tests.crash_proof.play import shuffled

ALL = list(FAULTS.values())


def test_a_seed_gives_the_same_rounds_again() -> None:
    first, again, other = (list(shuffled(ALL, 40, Random(seed))) for seed in (7, 7, 8))

    assert first == again
    assert first != other


def test_every_fault_comes_once_before_any_comes_again() -> None:
    rounds = shuffled(ALL, len(ALL), Random(1))

    assert {struck[0].name for struck in rounds} == set(FAULTS)


def test_two_at_once_never_touch_the_same() -> None:
    doubles = [struck for struck in shuffled(ALL, 400, Random(2)) if len(struck) > 1]

    assert len(doubles) == 100
    assert not any(one.touches & other.touches for one, other in doubles)


def test_every_fault_says_what_it_does() -> None:
    assert [each.name for each in ALL if not each.what] == []
