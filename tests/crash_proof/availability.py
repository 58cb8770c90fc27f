"""What share was acknowledged, where the spool is there for all that befalls Postgres and Valkey is not asked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.crash_proof.compare import Problem
from tests.crash_proof.faults import FAULTS
from tests.crash_proof.ledger import ALREADY_DOWN, Entry, Tally, counted

# Of fewer requests a single one is more than all that may be lacking: then one is let pass.
ENOUGH = 1000
# The only fault that leaves a receiver that is up no place to write to.
_MAY_REFUSE = frozenset({"spool's disk full"})


@dataclass(frozen=True)
class Share:
    """Of requests that met some of these faults and no other, with both receivers up, so many get a 200."""

    name: str
    faults: frozenset[str]
    least: float

    def includes(self, entry: Entry) -> bool:
        return bool(entry.met) and entry.met <= self.faults


SHARES = (
    Share("Postgres restarts", frozenset({"restart postgres"}), 0.999),
    Share(
        "Postgres away",
        frozenset({"postgres away", "kill postgres", "kill all of postgres", "kill a postgres backend"}),
        0.999,
    ),
    Share(
        "Valkey away",
        frozenset(
            {"kill valkey", "stop valkey", "valkey away", "valkey starts empty", "flushall", "valkey read-only"}
            | {"valkey out of memory", "valkey drops its clients"}
        ),
        1.0,
    ),
)
# What slow disks and full processors cost on the way; a door that keeps nothing is far below.
_LEAST_WHERE_RECEIVERS_ARE_UP, _LEAST_OF_ALL = 0.99, 0.5


def measured(entries: Sequence[Entry]) -> Iterator[tuple[Share, Tally]]:
    """Each share of which there is a sample."""
    for share in SHARES:
        tally = counted(entry for entry in entries if share.includes(entry))
        if tally.sent:
            yield share, tally


def lacking(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Where less was acknowledged than is promised, and where a receiver that was up kept too little."""
    for share, tally in measured(entries):
        if _is_below(tally, share.least):
            yield _problem("faults behind the door do not close it", f"{share.name}, {share.least:.1%}", tally)
    up = counted(entry for entry in entries if not _is_excused(entry))
    if _is_below(up, _LEAST_WHERE_RECEIVERS_ARE_UP):
        yield _problem("a receiver that is up keeps what it gets", "all but full spools", up)
    # Receivers that never came back after a fault of theirs are in here.
    of_all = counted(entry for entry in entries if entry.answer is not None or not _touches_receivers(entry))
    if of_all.availability < _LEAST_OF_ALL or not of_all.acknowledged:
        yield _problem("most is acknowledged", "in all", of_all)


def _is_below(tally: Tally, least: float) -> bool:
    may_lack = tally.sent * (1 - least)
    if tally.sent < ENOUGH and least < 1:
        may_lack = max(may_lack, 1)
    return tally.sent - tally.acknowledged > may_lack


def _is_excused(entry: Entry) -> bool:
    """Whether a receiver was away, or could not keep it."""
    if entry.answer is None:
        return ALREADY_DOWN in entry.met or _touches_receivers(entry)
    return bool(entry.met & _MAY_REFUSE)


def _touches_receivers(entry: Entry) -> bool:
    return any("receiver" in FAULTS[name].touches for name in entry.met - {ALREADY_DOWN})


def _problem(promise: str, about: str, tally: Tally) -> Problem:
    return Problem(promise, about, f"{tally.acknowledged} of {tally.sent}, {tally.availability:.3%}")
