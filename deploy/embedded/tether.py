"""Holds one process for the one that asked for it: when that one lets go, or dies, the process and its children end.

Run by path with `python -I -S`, so it imports the standard library only and starts in about 20 ms.
"""
# Why a process that stays, and not PR_SET_PDEATHSIG and exec: the death signal comes when the *thread* that forked
# ends, it does not exist on macOS, it reaches one process but not its children, and what it kills is left to PID 1,
# which in a bare container reaps nothing: a zombie postmaster keeps its data folder locked. A pipe has none of these.
# The death signal still ties the process to this one, which has a single thread, for the case that this one is killed.

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
# After SIGKILL only processes that made a session of their own are left (Postgres' backends do); they notice the loss.
STRAGGLERS_SECONDS = 5.0
NOT_STARTED = 127  # as a shell says it


@dataclass(frozen=True)
class Order:
    """What to run and how to end it; comes as one line of JSON, so that no argument list has to carry it."""

    command: list[str]
    environment: dict[str, str]  # not ours handed on: Python adds LC_CTYPE to its own
    ending: int  # the signal that asks it to end
    grace: float  # seconds between that and SIGKILL, unless the last word on the leash says otherwise
    report: int  # file descriptor that gets the process id
    keep: list[int]  # file descriptors the process inherits
    folder: str | None = None
    uid: int | None = None
    gid: int | None = None


class Held:
    """The process, and whatever it leaves behind."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process  # kept: a Popen that is forgotten reaps, and we would miss the end
        self.pid = process.pid
        self.exit_code: int | None = None

    def reap(self) -> bool:
        """Whether any child is left; as subreaper we also get those that lost their parent."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = code if code >= 0 else 128 - code

    def running(self) -> bool:
        return self.reap() and self.exit_code is None

    def signal(self, number: int) -> None:
        if self.running():
            os.kill(self.pid, number)

    def end_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS: not permitted when only zombies are left
            os.killpg(self.pid, signal.SIGKILL)


def main() -> int:
    with os.fdopen(0, "rb", buffering=0, closefd=False) as leash:  # unbuffered: what follows the line is read later
        order = Order(**json.loads(leash.readline()))
    alarm = _alarm()
    try:
        held = Held(_start(order))
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"{order.command[0]}: {error}\n")
        return NOT_STARTED
    with suppress(BrokenPipeError):  # whoever asked is gone already: the leash says so next
        os.write(order.report, b"%d\n" % held.pid)
    os.close(order.report)

    grace = _wait_for_release(held, alarm, order.grace)
    held.signal(order.ending)
    _wait(held.running, alarm, grace)
    held.end_group()
    _wait(held.reap, alarm, STRAGGLERS_SECONDS)

    return NOT_STARTED if held.exit_code is None else held.exit_code


def _alarm() -> int:
    """A file descriptor that turns readable when a child ends."""
    alarm, bell = os.pipe()
    os.set_blocking(alarm, False)
    os.set_blocking(bell, False)
    signal.set_wakeup_fd(bell)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # The one way to end this one is the leash: a stray SIGTERM to a group must not skip the orderly end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return alarm


def _start(order: Order) -> subprocess.Popen[bytes]:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    us = os.getpid()

    def follow() -> None:
        # CPython runs this after the change of user, which would have cleared the death signal.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, order.ending, 0, 0, 0)
            if os.getppid() != us:
                os._exit(NOT_STARTED)

    return subprocess.Popen(  # noqa: S603  the command comes from our own code
        order.command,
        stdin=subprocess.DEVNULL,
        cwd=order.folder,
        env=order.environment,
        user=order.uid,
        group=order.gid,
        extra_groups=None if order.uid is None else [],
        start_new_session=True,  # a group of its own, so that ending the group spares us
        pass_fds=order.keep,
        preexec_fn=follow,  # noqa: PLW1509  there is one thread here
    )


def _wait_for_release(held: Held, alarm: int, grace: float) -> float:
    """Wait for the process to end or for the leash to go slack; the grace it is to get then."""
    while held.running():
        for readable in select.select([0, alarm], [], [])[0]:
            said = os.read(readable, 1024)
            if readable == alarm:
                continue
            if not said:
                return grace
            grace = float(said.split()[-1])
    return grace


def _wait(going_on: Callable[[], bool], alarm: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while going_on() and (left := deadline - time.monotonic()) > 0:
        if select.select([alarm], [], [], left)[0]:
            os.read(alarm, 1024)


if __name__ == "__main__":
    status = main()
    # At once: the interpreter would only take its Popen for forgotten.
    os._exit(status)
