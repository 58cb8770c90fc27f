"""Our own processes: started, watched, stopped in order, none left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.processes import ProcessDiedError, Processes
from tests.waiting import until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PATH": os.defpath}
HOLD = """
import sys, time
from deploy.processes import Processes
with Processes({"PATH": sys.argv[1]}) as processes:
    processes.start("family", "sh", "-c", "sleep 60 & echo $! $$ > " + sys.argv[2] + "; wait")
    time.sleep(60)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes(ENVIRONMENT) as processes:
        yield processes


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def written(file: Path) -> str:
    """The file's first whole line, once it is there."""
    until(lambda: file.exists() and file.read_text().endswith("\n"))
    return file.read_text()


def test_what_was_killed_is_started_again(processes: Processes) -> None:
    processes.start("sleeper", "sleep", "60")
    killed = processes.pids()["sleeper"]
    os.kill(killed, signal.SIGKILL)
    until(lambda: not processes.pids())

    def back() -> bool:
        processes.check()
        return "sleeper" in processes.pids()

    until(back)
    assert processes.pids()["sleeper"] != killed


def test_what_keeps_dying_waits_longer_each_time(processes: Processes, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    processes.start("hopeless", "sh", "-c", f"date +%s.%N >> {starts}; exit 3")

    def third() -> bool:
        processes.check()
        return starts.exists() and starts.read_text().count("\n") == 3

    until(third)
    first, second, last = map(float, starts.read_text().split())
    assert 0.5 <= second - first < last - second
    assert last - second >= 1.0


def test_without_restart_a_death_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with Processes(ENVIRONMENT, restart=False) as processes:
        processes.start("worker", "sh", "-c", "echo why; exit 3", output=log)
        until(lambda: not processes.pids())

        with pytest.raises(ProcessDiedError, match=rf"worker ended with exit code 3; see {log}"):
            processes.check()

    assert log.read_text() == "why\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_signal_is_told_as_a_shell_tells_it() -> None:
    with Processes(ENVIRONMENT, restart=False) as processes:
        processes.start("worker", "sleep", "60")
        os.kill(processes.pids()["worker"], signal.SIGKILL)
        until(lambda: not processes.pids())

        with pytest.raises(ProcessDiedError, match="exit code 137"):
            processes.check()


def test_a_command_that_is_not_there_is_an_error(processes: Processes, tmp_path: Path) -> None:
    with pytest.raises(ProcessDiedError, match="receiver ended with exit code 127"):
        processes.start("receiver", "/no/such/program", output=tmp_path / "log")

    assert "/no/such/program" in (tmp_path / "log").read_text()


def test_the_environment_is_what_was_given_and_nothing_else(processes: Processes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes.start("env", "env", extra_environment={"ROLE": "relay"}, output=log)
    until(lambda: not processes.pids())

    assert sorted(log.read_text().splitlines()) == [f"PATH={os.defpath}", "ROLE=relay"]


def test_the_last_started_is_stopped_first(processes: Processes, tmp_path: Path) -> None:
    order = tmp_path / "order"
    for name in ("receiver", "relay", "worker"):
        ready = tmp_path / name
        script = f'trap "echo {name} >> {order}; exit 0" TERM; echo ready > {ready}; while :; do sleep 0.05; done'
        processes.start(name, "sh", "-c", script)
        written(ready)
    pids = processes.pids()

    processes.stop()

    assert order.read_text().split() == ["worker", "relay", "receiver"]
    assert list(pids) == ["receiver", "relay", "worker"]
    assert not any(alive(pid) for pid in pids.values())
    assert processes.pids() == {}


def test_the_deaf_are_killed_after_the_grace(processes: Processes, tmp_path: Path) -> None:
    processes.start("deaf", "sh", "-c", f'trap "" TERM; echo ready > {tmp_path}/ready; while :; do sleep 0.05; done')
    written(tmp_path / "ready")
    pid, begun = processes.pids()["deaf"], time.monotonic()

    processes.stop(grace=0.4)

    assert 0.4 <= time.monotonic() - begun < 3
    assert not alive(pid)


@pytest.mark.parametrize("killed", [True, False])
def test_grandchildren_go_with_their_parent(processes: Processes, tmp_path: Path, *, killed: bool) -> None:
    processes.start("family", "sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    child = int(written(tmp_path / "child"))

    if killed:
        os.kill(processes.pids()["family"], signal.SIGKILL)
        until(lambda: not processes.pids())
    else:
        processes.stop()

    assert not alive(child)


def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, os.defpath, str(tmp_path / "pids")]
    with subprocess.Popen(command, cwd=ROOT) as parent:
        try:
            pids = [int(pid) for pid in written(tmp_path / "pids").split()]
            assert all(alive(pid) for pid in pids)
        finally:
            parent.kill()

    until(lambda: not any(alive(pid) for pid in pids))
