"""Faults of processes: killed, stopped, restarted."""

import signal
import time
from collections.abc import Iterator
from random import Random

from tests.crash_proof.faults import Befall, add, fault
from tests.crash_proof.line import RECEIVERS, Line
from tests.crash_proof.pids import children, signal_all

_TARGETS = ("receiver", "relay", "worker", "worker's child", "postgres", "valkey")
# Longer than a worker may hold a row: when it goes on, somebody else has done its work.
_OVERSLEPT_SECONDS = 80.0


def _named(target: str, random: Random) -> str:
    return random.choice(RECEIVERS) if target == "receiver" else target


def _killing(target: str) -> Befall:
    def kill(line: Line, random: Random) -> Iterator[None]:
        pids = line.pids(_named(target, random))
        signal_all(random.sample(pids, 1) if "child" in target and pids else pids[:1], signal.SIGKILL)
        yield

    return kill


def _stopping(target: str) -> Befall:
    def stop(line: Line, random: Random) -> Iterator[None]:
        pids = line.pids(_named(target, random))
        stopped = random.sample(pids, 1) if "child" in target and pids else pids
        signal_all(stopped, signal.SIGSTOP)
        yield
        signal_all(stopped, signal.SIGCONT)

    return stop


for _target in _TARGETS:
    _touches = frozenset({_target.partition("'")[0]})
    add(f"kill {_target}", "SIGKILL; started anew after half a second", _touches, _killing(_target))
    add(f"stop {_target}", "SIGSTOP for the round, then SIGCONT", _touches, _stopping(_target))


@fault("worker's child oversleeps", "worker")
def oversleep(line: Line, random: Random) -> Iterator[None]:
    """SIGSTOP for longer than its claim, across rounds, then SIGCONT."""
    if pids := line.pids("worker's child"):
        stopped = random.sample(pids, 1)
        signal_all(stopped, signal.SIGSTOP)
        line.later(_OVERSLEPT_SECONDS, lambda: signal_all(stopped, signal.SIGCONT))
    yield


@fault("restart postgres", "postgres")
def restart_postgres(line: Line, _random: Random) -> Iterator[None]:
    """SIGINT (fast shutdown), then started anew at once."""
    signal_all(line.pids("postgres")[:1], signal.SIGINT)
    yield


@fault("postgres away", "postgres")
def postgres_away(line: Line, _random: Random) -> Iterator[None]:
    """SIGINT, and not started anew before the round ends."""
    with line.held("postgres"):
        signal_all(line.pids("postgres")[:1], signal.SIGINT)
        yield


@fault("kill all of postgres", "postgres")
def kill_all_of_postgres(line: Line, _random: Random) -> Iterator[None]:
    """SIGKILL of the postmaster and every backend; recovers from its log."""
    line.kill("postgres")
    yield


@fault("kill a postgres backend", "postgres")
def kill_backend(line: Line, random: Random) -> Iterator[None]:
    """SIGKILL of one backend: Postgres ends all others and recovers by itself."""
    if backends := children(line.services["postgres"].pid):
        signal_all(random.sample(backends, 1), signal.SIGKILL)
    yield


@fault("valkey away", "valkey")
def valkey_away(line: Line, _random: Random) -> Iterator[None]:
    """SIGKILL, and not started anew before the round ends."""
    with line.held("valkey"):
        line.kill("valkey")
        yield


@fault("valkey starts empty", "valkey")
def valkey_empty(line: Line, _random: Random) -> Iterator[None]:
    """SIGKILL, its files removed, started anew."""
    with line.held("valkey"):
        line.kill("valkey")
        while line.services["valkey"].leash.exit_code() is None:
            time.sleep(0.01)
        for path in sorted((line.folder / "valkey").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        yield
