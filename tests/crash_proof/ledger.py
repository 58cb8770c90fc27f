"""What was sent and what came back: the only witness, kept outside of everything that is tested."""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deploy.simulator.caller import Sent

Names = tuple[str, ...]
QUIET: Names = ("between faults",)
# Besides the faults of a round that began while a receiver was down: what failed may be the doing of an earlier one.
ALREADY_DOWN = "a receiver already down"


@dataclass(frozen=True)
class Entry:
    """One request and its answer: a status, or None.

    `faults` are those of the round that it is counted in, `met` all from its start to its end.
    """

    key: str
    final: bool
    sha256: str
    answer: int | None
    error: str | None
    seconds: float
    faults: Names
    met: frozenset[str]

    @property
    def acknowledged(self) -> bool:
        return self.answer == 200


@dataclass
class Tally:
    """Answers counted."""

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    unanswered: int = 0

    def add(self, entry: Entry) -> None:
        self.sent += 1
        self.acknowledged += entry.acknowledged
        self.unanswered += entry.answer is None
        self.refused += entry.answer not in {200, None}

    @property
    def availability(self) -> float:
        """The share that was acknowledged; of nothing, all."""
        return self.acknowledged / self.sent if self.sent else 1.0


def counted(entries: Iterable[Entry]) -> Tally:
    tally = Tally()
    for entry in entries:
        tally.add(entry)
    return tally


@dataclass
class Ledger:
    """Written by the load's thread, read by others."""

    entries: list[Entry] = field(default_factory=list)
    now: Names = QUIET
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def during(self, names: Names) -> Iterator[None]:
        """What is sent meanwhile met these faults."""
        self.now = names
        try:
            yield
        finally:
            self.now = QUIET

    def note(self, sent: Sent, *, final: bool, faults: Names) -> None:
        """`faults`: those at its start. A connection that was lost met those at its end."""
        now = self.now
        counted_in = now if sent.answer is None else faults
        digest = hashlib.sha256(sent.post.body).hexdigest()
        met = frozenset((*faults, *now)) - {*QUIET}
        entry = Entry(sent.post.key, final, digest, sent.answer, sent.error, sent.seconds, counted_in, met)
        with self._lock:
            self.entries.append(entry)

    def tally(self) -> Tally:
        return counted(self.entries)

    def tally_of(self, fault: str) -> Tally:
        """Of what is counted in its rounds, alone or with another."""
        return counted(entry for entry in self.entries if fault in entry.faults)

    def sent(self) -> Counter[str]:
        """How often each body was sent."""
        return Counter(entry.sha256 for entry in self.entries)

    def acknowledged(self) -> Counter[str]:
        """How often each body got a 200."""
        return Counter(entry.sha256 for entry in self.entries if entry.acknowledged)

    def owed(self) -> set[str]:
        """Workflows whose final callback was acknowledged: each must have its verdict."""
        return {entry.key for entry in self.entries if entry.acknowledged and entry.final}
