"""Faults of the network: the proxies delay, fall silent, refuse, reset, and cut at chosen bytes."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from tests.crash_proof.faults import Befall, add
from tests.crash_proof.line import RECEIVERS, Line
from tests.crash_proof.proxy import Cut, Proxy, Way

# What goes by where: the evidence is in every INSERT of a receiver, and the tag is what Postgres says once it is
# committed. A queue's name comes back from Valkey only in the answer that hands over a message.
_INSERT, _INSERTED, _COMMIT, _MESSAGE = b"rule", b"INSERT 0 ", b"COMMIT", b"jumio.process"
_SLOW_SECONDS = 0.2

Choose = Callable[[Line, Random], tuple[str, Proxy]]


def _door(line: Line, random: Random) -> tuple[str, Proxy]:
    receiver = random.choice(RECEIVERS)
    return receiver, line.doors[receiver]


def _back(line: Line, _random: Random) -> tuple[str, Proxy]:
    return "worker's child", line.back


def _broker(line: Line, _random: Random) -> tuple[str, Proxy]:
    return "relay", line.broker


_PLACES: dict[str, tuple[Choose, str]] = {
    "receiver to postgres": (_door, "postgres"),
    "workers to postgres": (_back, "postgres"),
    "workers to valkey": (_broker, "valkey"),
}


def _resetting(choose: Choose) -> Befall:
    def reset(line: Line, random: Random) -> Iterator[None]:
        choose(line, random)[1].reset_all()
        yield

    return reset


def _refusing(choose: Choose) -> Befall:
    def refuse(line: Line, random: Random) -> Iterator[None]:
        proxy = choose(line, random)[1]
        proxy.refusing = True
        proxy.reset_all()
        yield
        proxy.refusing = False

    return refuse


def _silencing(choose: Choose) -> Befall:
    def silence(line: Line, random: Random) -> Iterator[None]:
        proxy = choose(line, random)[1]
        proxy.silence()
        yield
        proxy.speak()

    return silence


def _slowing(choose: Choose) -> Befall:
    def slow(line: Line, random: Random) -> Iterator[None]:
        proxy = choose(line, random)[1]
        proxy.delay = _SLOW_SECONDS
        yield
        proxy.delay = 0.0

    return slow


def _cutting(choose: Choose, pattern: bytes, way: Way, *, after: bool, kills: bool) -> Befall:
    def cut(line: Line, random: Random) -> Iterator[None]:
        name, proxy = choose(line, random)
        then = partial(line.kill, name) if kills else _nothing
        proxy.cut(Cut(pattern, way, "after" if after else "before", then))
        yield
        proxy.cut(None)

    return cut


def _nothing() -> None:
    """No one is killed."""


for _place, (_choose, _service) in _PLACES.items():
    _touches = frozenset({_service})
    add(f"reset: {_place}", "RST on every connection", _touches, _resetting(_choose))
    add(f"refuse: {_place}", "RST on every connection, old and new", _touches, _refusing(_choose))
    add(f"silence: {_place}", "a black hole; then all of it arrives", _touches, _silencing(_choose))
    add(f"slow: {_place}", f"{_SLOW_SECONDS:.1f} s more each way", _touches, _slowing(_choose))

# (what is known by it, where, bytes, way, after?): "before" means that the other side never gets them.
_CUTS: tuple[tuple[str, Choose, bytes, Way, bool], ...] = (
    ("before INSERT", _door, _INSERT, "up", False),
    ("after INSERT", _door, _INSERT, "up", True),
    ("before INSERT is confirmed", _door, _INSERTED, "down", False),
    ("before COMMIT", _back, _COMMIT, "up", False),
    ("after COMMIT", _back, _COMMIT, "up", True),
    ("before COMMIT is confirmed", _back, _COMMIT, "down", False),
)
for _name, _choose, _pattern, _way, _after in _CUTS:
    for _kills in (False, True):
        add(
            f"{'kill' if _kills else 'cut'} {_name}",
            "the connection ends at these bytes" + (", and at that instant SIGKILL of who used it" if _kills else ""),
            frozenset({"postgres", *({"receiver", "worker"} if _kills else ())}),
            _cutting(_choose, _pattern, _way, after=_after, kills=_kills),
        )
add(
    "cut before a message arrives",
    "Valkey has handed it out, and nobody has it",
    frozenset({"valkey"}),
    _cutting(_broker, _MESSAGE, "down", after=False, kills=False),
)
add(
    "cut after a message arrives",
    "a worker has it, and has lost its connection",
    frozenset({"valkey"}),
    _cutting(_broker, _MESSAGE, "down", after=True, kills=False),
)
