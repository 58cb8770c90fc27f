"""Starts a service on a free port, on another one if someone was quicker; and again on its own if it died."""

import contextlib
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from deploy.embedded.errors import ServiceFailedError
from deploy.embedded.folder import log_tail
from deploy.embedded.leash import Leash, NotStartedError

log = structlog.get_logger()

READY_SECONDS = 30.0  # crash recovery after kill -9 included
# A port is free when asked and taken when used: rare once, not to be believed five times.
ATTEMPTS = 5
# Above the ports of well-known services; what Linux gives to whoever calls out begins at 32768, elsewhere later.
_FIRST, _BEYOND = 10_240, 32_768
_LINUX_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 100
_found: set[int] = set()


@dataclass
class Service:
    """What runs: its port stays the same when it has to be started again, so that URLs stay true."""

    name: str
    port: int
    leash: Leash
    launch: Callable[[int], Leash]
    answers: Callable[[int], bool]
    output: Path

    @property
    def pid(self) -> int:
        """Of the service, not of its tether."""
        return self.leash.pid

    def check(self) -> None:
        """Start it again if it ended by itself. Raises ServiceFailedError where it does not come up."""
        code = self.leash.exit_code()
        if code is None:
            return
        log.error("service.exited", service=self.name, exit_code=code, log=str(self.output))
        self.leash = self.launch(self.port)
        if not _ready(self.name, self.leash, lambda: self.answers(self.port), self.output):
            raise _failed(self.name, self.output)
        log.info("service.restarted", service=self.name, pid=self.pid, port=self.port)

    def stop(self) -> None:
        """End it and wait for it."""
        log.info("service.stopped", service=self.name, exit_code=self.leash.let_go())


def start(name: str, launch: Callable[[int], Leash], answers: Callable[[int], bool], output: Path) -> Service:
    """The running service, once it has really answered."""
    for _ in range(ATTEMPTS):
        port = free_port()
        try:
            leash = launch(port)
        except NotStartedError as error:
            raise _failed(name, output) from error
        if _ready(name, leash, lambda at=port: answers(at), output):  # type: ignore[misc]
            log.info("service.started", service=name, pid=leash.pid, port=port)
            return Service(name, port, leash, launch, answers, output)
    raise _failed(name, output)


def _ready(name: str, leash: Leash, answers: Callable[[], bool], output: Path) -> bool:
    """False if it ended before it answered."""
    deadline = time.monotonic() + READY_SECONDS
    try:
        while leash.exit_code() is None and time.monotonic() < deadline:
            if answers():
                return True
            time.sleep(0.02)
    except BaseException:
        leash.let_go()
        raise
    if leash.exit_code() is None:
        leash.let_go()
        raise _failed(name, output)
    return False


def _failed(name: str, output: Path) -> ServiceFailedError:
    return ServiceFailedError(f"{name} did not start; the end of {output} says:\n{log_tail(output)}")


def free_port(host: str = "127.0.0.1") -> int:
    """One on which nobody listens, and never the same one twice.

    None of those that the system gives to whoever calls out: of these, one was taken before it was listened on.
    """
    outside = [port for port in range(_FIRST, _first_for_callers()) if port not in _found]
    for port in random.sample(outside, min(len(outside), _TRIES)):
        with contextlib.suppress(OSError):
            return _bound(host, port)
    # Where there are none outside, or all are taken, the system's own choice.
    return _bound(host, 0)


def _bound(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, port))
        found: int = probe.getsockname()[1]
    _found.add(found)
    return found


def _first_for_callers() -> int:
    return int(_LINUX_RANGE.read_text(encoding="ascii").split()[0]) if _LINUX_RANGE.exists() else _BEYOND
