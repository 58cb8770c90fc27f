"""Starts, watches and stops our own processes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from deploy.embedded.leash import Leash, NotStartedError
from deploy.embedded.tether import NOT_STARTED

log = structlog.get_logger()

# The first restart hides a hiccup; the last keeps a hopeless process from filling the log.
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
# One that ran this long has worked: what ended it was not its start.
SETTLED_SECONDS = 30.0
GRACE_SECONDS = 20.0


class ProcessDiedError(Exception):
    """A process of ours ended on its own."""


@dataclass
class _Process:
    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    output: Path | None
    leash: Leash | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    delay: float = field(default=FIRST_DELAY_SECONDS)

    @property
    def pid(self) -> int | None:
        return self.leash.pid if self.leash else None

    def start(self) -> None:
        self.started_at = time.monotonic()
        self.leash = Leash(self.command, environment=self.environment, grace=GRACE_SECONDS, output=self.output)

    def postpone(self) -> None:
        """Each early death doubles the wait."""
        now = time.monotonic()
        if now - self.started_at > SETTLED_SECONDS:
            self.delay = FIRST_DELAY_SECONDS
        self.leash, self.restart_at = None, now + self.delay
        self.delay = min(2 * self.delay, LONGEST_DELAY_SECONDS)


class Processes:
    """Our processes in the order they were started; each ends when we do, children included."""

    def __init__(self, environment: Mapping[str, str], *, restart: bool = True) -> None:
        self._environment = dict(environment)
        self._restart = restart
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(
        self, name: str, *command: str, extra_environment: Mapping[str, str] | None = None, output: Path | None = None
    ) -> None:
        process = _Process(name, command, {**self._environment, **(extra_environment or {})}, output)
        try:
            process.start()
        except NotStartedError as error:
            raise _died(process, NOT_STARTED) from error
        self._processes.append(process)
        log.info("process.started", process=process.name, pid=process.pid)

    def pids(self) -> dict[str, int]:
        """Of what runs now."""
        return {p.name: p.leash.pid for p in self._processes if p.leash is not None and p.leash.exit_code() is None}

    def check(self) -> None:
        """Notice what ended, and start it again when its time has come; to be called several times a second."""
        for process in self._processes:
            if process.leash is None:
                if time.monotonic() >= process.restart_at:
                    self._start_again(process)
            elif (code := process.leash.exit_code()) is not None:
                self._note_end(process, code)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Last started, first stopped; one after the other, so that each still has what it needs."""
        while self._processes:
            process = self._processes.pop()
            if process.leash is not None:
                log.info("process.stopped", process=process.name, exit_code=process.leash.let_go(grace))

    def _note_end(self, process: _Process, code: int) -> None:
        process.postpone()
        log.warning("process.exited", process=process.name, exit_code=code, log=_text(process.output))
        if not self._restart:
            raise _died(process, code)

    def _start_again(self, process: _Process) -> None:
        try:
            process.start()
        except NotStartedError:
            self._note_end(process, NOT_STARTED)
        else:
            log.info("process.restarted", process=process.name, pid=process.pid)


def _died(process: _Process, code: int) -> ProcessDiedError:
    return ProcessDiedError(f"{process.name} ended with exit code {code}; see {_text(process.output) or 'above'}")


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
