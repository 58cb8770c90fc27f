"""Our end of the leash: starts a process under a tether, knows its id, lets it go."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from deploy.embedded.account import Account
from deploy.embedded.tether import STRAGGLERS_SECONDS, Order

TETHER = Path(__file__).with_name("tether.py")
# What a tether may take beyond grace and stragglers: its own start, on a machine that is busy.
SLACK_SECONDS = 10.0


class NotStartedError(Exception):
    """The command could not be run at all; its output says why."""


class Leash:
    """A process that ends when we say so, and when we die; `pid` is its own, not its tether's."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        ending: signal.Signals = signal.SIGTERM,
        grace: float = 20.0,
        output: Path | None = None,
        folder: Path | None = None,
        account: Account | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        self._grace = grace
        ours, theirs = os.pipe()
        order = Order(
            command=list(command),
            environment=dict(environment),
            ending=ending,
            grace=grace,
            report=theirs,
            keep=list(keep),
            folder=str(folder) if folder else None,
            uid=account.uid if account else None,
            gid=account.gid if account else None,
        )
        with os.fdopen(ours) as report:
            try:
                self._tether = _tether(environment, output, [theirs, *keep])
            finally:
                os.close(theirs)
            self._say(json.dumps(asdict(order)))
            said = report.readline()
        if not said:
            raise NotStartedError(command[0], self.let_go())
        self.pid = int(said)

    def exit_code(self) -> int | None:
        """None while it runs. Its children are gone too once there is a code."""
        code = self._tether.poll()
        if code is not None:
            self._slip()
        return code

    def let_go(self, grace: float | None = None) -> int:
        """End it, wait for it and for its children, reap."""
        if self._pipe.closed:
            return self._tether.wait()
        if grace is not None:
            self._grace = grace
            self._say(str(grace))
        self._slip()
        try:
            return self._tether.wait(self._grace + STRAGGLERS_SECONDS + SLACK_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._tether.kill()
            return self._tether.wait()

    def _say(self, word: str) -> None:
        with suppress(BrokenPipeError):
            self._pipe.write(f"{word}\n".encode())

    def _slip(self) -> None:
        with suppress(BrokenPipeError):
            self._pipe.close()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._tether.stdin is not None  # noqa: S101  it was asked for as a pipe
        return self._tether.stdin


def _tether(environment: Mapping[str, str], output: Path | None, keep: Sequence[int]) -> subprocess.Popen[bytes]:
    log = None if output is None else os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, "-I", "-S", str(TETHER)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is for us; the rest end in our order
            pass_fds=keep,
        )
    finally:
        if log is not None:
            os.close(log)
