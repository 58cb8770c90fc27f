"""What can befall the line, by name: a fault is done when its block begins and undone when it ends."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random

from tests.crash_proof.line import Line

Befall = Callable[[Line, Random], Iterator[None]]
Obstacle = Callable[[Line], str | None]


def _none(_line: Line) -> str | None:
    return None


@dataclass(frozen=True)
class Fault:
    """`touches`: two faults that share one of these do not go together. `obstacle` says why it cannot be done here."""

    name: str
    what: str
    touches: frozenset[str]
    befall: Callable[[Line, Random], AbstractContextManager[None]]
    obstacle: Obstacle


FAULTS: dict[str, Fault] = {}


def fault(name: str, *touches: str, obstacle: Obstacle = _none) -> Callable[[Befall], Befall]:
    """The function's docstring says what it does and how that is undone."""

    def register(befall: Befall) -> Befall:
        add(name, (befall.__doc__ or "").rstrip("."), frozenset(touches), befall, obstacle)
        return befall

    return register


def add(name: str, what: str, touches: frozenset[str], befall: Befall, obstacle: Obstacle = _none) -> None:
    FAULTS[name] = Fault(name, what, touches, contextmanager(befall), obstacle)
