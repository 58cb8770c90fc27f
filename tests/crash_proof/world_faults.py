"""Faults of what surrounds the line: DNS, disks, clocks."""

import signal
import time
from collections.abc import Iterator
from random import Random

from deploy.simulator.zone import CALLBACK_ZONE, Behaviour
from schemas.settings import Settings
from tests.crash_proof.disk import filled
from tests.crash_proof.faults import Befall, add, fault
from tests.crash_proof.line import RECEIVERS, Line
from tests.crash_proof.pids import signal_all

# Neither is Jumio's: a private one, and one that is somebody else's.
_LIES = ("10.98.76.54", "127.0.0.99")
# Cut off in the middle: no line's end, so nobody was told that it is kept.
_TORN = b'5f3a90c1 {"id":"01938f'
_SPOOLING_SECONDS = 1.0
_DOOR_STEP, _BACK_STEP = 3600, 240


def _no_spool(_line: Line) -> str | None:
    return None if "spool_dir" in Settings.model_fields else "this tree has no SPOOL_DIR"


def _no_small_disk(line: Line) -> str | None:
    return _no_spool(line) or (None if line.small_disk else "mounting a tmpfs is not allowed here")


def _no_clock(line: Line) -> str | None:
    return None if line.clock else "there is no C compiler here"


def _restart_receivers(line: Line) -> None:
    """A receiver looks its names up when it starts."""
    for name in RECEIVERS:
        line.kill(name)


def _answering(behaviour: Behaviour) -> Befall:
    def answer(line: Line, _random: Random) -> Iterator[None]:
        for name in CALLBACK_ZONE:
            line.simulator.dns.set(name, behaviour=behaviour)
        _restart_receivers(line)
        yield
        for name in CALLBACK_ZONE:
            line.simulator.dns.set(name, behaviour="normal")

    return answer


for _behaviour in ("silent", "servfail", "nxdomain", "empty", "garbage"):
    _what = "every name, while both receivers are killed and start"
    add(f"dns {_behaviour}", _what, frozenset({"dns", "receiver"}), _answering(_behaviour))


@fault("dns lies", "dns", "receiver")
def dns_lies(line: Line, _random: Random) -> Iterator[None]:
    """Private and foreign addresses instead of Jumio's, while both receivers are killed and start."""
    for name in CALLBACK_ZONE:
        line.simulator.dns.set(name, addresses=_LIES)
    _restart_receivers(line)
    yield
    for name, addresses in CALLBACK_ZONE.items():
        line.simulator.dns.set(name, addresses=addresses)


@fault("dns server gone", "dns", "receiver")
def dns_gone(line: Line, _random: Random) -> Iterator[None]:
    """The server is stopped, while both receivers are killed and start; then started again."""
    line.simulator.dns.stop()
    _restart_receivers(line)
    yield
    line.simulator.dns.start()


@fault("spool's disk full", "postgres", "receiver", obstacle=_no_small_disk)
def spool_full(line: Line, _random: Random) -> Iterator[None]:
    """Postgres is away and not a byte is left for the spool of one receiver."""
    assert line.small_disk is not None
    with line.held("postgres"), filled(line.small_disk):
        signal_all(line.pids("postgres")[:1], signal.SIGINT)
        yield


@fault("spool torn", "postgres", "receiver", obstacle=_no_spool)
def spool_torn(line: Line, random: Random) -> Iterator[None]:
    """SIGKILL of a receiver that spools, and half a record behind what it wrote."""
    name = random.choice(RECEIVERS)
    with line.held("postgres"):
        signal_all(line.pids("postgres")[:1], signal.SIGINT)
        line.watch(_SPOOLING_SECONDS)
        with line.held(name):
            line.kill(name)
            time.sleep(0.1)
            if segments := sorted(line.spool(name).glob("*.spool")):
                with segments[-1].open("ab") as file:
                    file.write(_TORN)
        yield


@fault("kill a receiver that spools", "postgres", "receiver", obstacle=_no_spool)
def kill_while_spooling(line: Line, random: Random) -> Iterator[None]:
    """Postgres is away; SIGKILL of a receiver, which starts without Postgres."""
    with line.held("postgres"):
        signal_all(line.pids("postgres")[:1], signal.SIGINT)
        line.watch(_SPOOLING_SECONDS)
        line.kill(random.choice(RECEIVERS))
        yield


def _stepping(side: str, seconds: int) -> Befall:
    def step(line: Line, _random: Random) -> Iterator[None]:
        assert line.clock is not None
        line.clock.step(side, seconds)
        yield
        line.clock.step(side, 0)

    return step


# Subscribers refuse what was signed more than five minutes from their own time, so workers stray less.
for _side, _whose, _seconds in (("door", "receivers", _DOOR_STEP), ("back", "workers", _BACK_STEP)):
    for _sign, _word in ((1, "forward"), (-1, "back")):
        add(
            f"clock {_word}: {_whose}",
            f"by {_seconds // 60} minutes, then right again",
            frozenset({"clock"}),
            _stepping(_side, _sign * _seconds),
            _no_clock,
        )
