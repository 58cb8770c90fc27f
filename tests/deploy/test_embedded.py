"""Real Postgres and Valkey from the wheels: they answer, they keep, and nothing outlives us."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from deploy.embedded.account import Account, account_for, open_folder
from deploy.embedded.errors import ServiceFailedError
from deploy.embedded.leash import Leash
from deploy.embedded.ports import free_port, start
from deploy.embedded.services import EmbeddedRefusedError, ServiceUrls, embedded_services, write_services_env
from deploy.embedded.wheels import program, reachable

ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-c", """
import json, sys, time
from pathlib import Path
from deploy.embedded.services import embedded_services
with embedded_services(Path(sys.argv[1])) as services:
    pids = [services.postgres_pid, services.valkey_pid]
    print(json.dumps({"urls": [services.database_url, services.broker_url], "pids": pids}), flush=True)
    time.sleep(60)
"""]  # fmt: skip
DISCREET = """
fsync=on synchronous_commit=on data_checksums=on server_encoding=UTF8
listen_addresses=127.0.0.1 unix_socket_directories= max_connections=100 jit=off
log_statement=none log_error_verbosity=terse log_min_error_statement=panic log_parameter_max_length_on_error=0
"""
NOBODY = Account(65534, 65534)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up rights")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not tmp_path: as root, pytest closes its parents to the user that Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def services() -> Iterator[ServiceUrls]:
    with tempfile.TemporaryDirectory(prefix="embedded-") as name, embedded_services(Path(name)) as services:
        yield services


def sql(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def valkey(url: str, *words: str) -> Any:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*words)


def stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return stat(pid)[0] != "Z"
    return False


@contextmanager
def another_process(folder: Path) -> Iterator[tuple[int, ServiceUrls, list[int]]]:
    """Killed at the end, if it was not before."""
    with subprocess.Popen([*SERVE, folder], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("{"))
            said = json.loads(line)
            yield process.pid, ServiceUrls(*said["urls"]), said["pids"]
        finally:
            process.kill()


def test_both_answer(services: ServiceUrls) -> None:
    assert sql(services.database_url, "SELECT current_database(), current_user") == ("jumio", "jumio")
    assert valkey(services.broker_url, "PING")


def test_a_password_is_needed(services: ServiceUrls) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        sql(services.database_url.replace("jumio:", "jumio:not"), "SELECT 1")
    with pytest.raises(redis.AuthenticationError):
        valkey(services.broker_url.replace("redis://:", "redis://:not"), "PING")


def test_passwords_are_in_no_argument_list_and_no_repr(services: ServiceUrls) -> None:
    secrets = [url.partition("@")[0].rpartition(":")[2] for url in (services.database_url, services.broker_url)]
    shown = subprocess.run(["ps", "axo", "args"], check=True, capture_output=True, text=True).stdout + repr(services)

    assert all(len(secret) == 48 and secret not in shown for secret in secrets)


@pytest.mark.parametrize("setting", DISCREET.split())
def test_postgres_is_durable_local_and_discreet(services: ServiceUrls, setting: str) -> None:
    name, _, value = setting.partition("=")
    assert sql(services.database_url, f"SHOW {name}") == (value,)


@pytest.mark.parametrize("setting", ["appendonly=yes", "appendfsync=everysec", "maxmemory-policy=noeviction", "save="])
def test_valkey_keeps_every_key_and_writes_it_down(services: ServiceUrls, setting: str) -> None:
    name, _, value = setting.partition("=")
    assert valkey(services.broker_url, "CONFIG", "GET", name) == {name: value}


@as_root
@on_linux
def test_neither_runs_as_root(services: ServiceUrls) -> None:
    for pid in (services.postgres_pid, services.valkey_pid):
        status = Path(f"/proc/{pid}/status").read_text()
        uids, gids, groups = (
            next(line.split()[1:] for line in status.splitlines() if line.startswith(name))
            for name in ("Uid:", "Gid:", "Groups:")
        )
        assert "0" not in {*uids, *gids, *groups}


def test_a_restart_keeps_data_and_passwords(folder: Path) -> None:
    with embedded_services(folder) as first:
        sql(first.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        valkey(first.broker_url, "SET", "kept", "7")

    with embedded_services(folder) as second:
        assert sql(second.database_url, "SELECT number FROM kept") == (7,)
        assert valkey(second.broker_url, "GET", "kept") == "7"

    for was, now in ((first.database_url, second.database_url), (first.broker_url, second.broker_url)):
        assert was.partition("@")[0] == now.partition("@")[0]
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir() if file.is_file()}
    assert set(modes.values()) == {0o600}, modes


def test_a_second_start_names_the_process_that_holds_the_folder(folder: Path) -> None:
    with embedded_services(folder, database=False), pytest.raises(EmbeddedRefusedError, match=f"process {os.getpid()}"):
        embedded_services(folder).__enter__()


@on_linux
@pytest.mark.parametrize("tethers_too", [False, True])
def test_nothing_outlives_a_killed_parent(folder: Path, *, tethers_too: bool) -> None:
    with another_process(folder) as (pid, services, pids):
        sql(services.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        for victim in [pid, *([int(stat(pid)[1]) for pid in pids] if tethers_too else [])]:
            os.kill(victim, signal.SIGKILL)

    with embedded_services(folder) as again:  # at once: it waits for what is still ending
        assert sql(again.database_url, "SELECT number FROM kept") == (7,)
        assert not any(alive(pid) for pid in pids)


@on_linux
def test_what_was_killed_starts_again_with_what_it_had(folder: Path) -> None:
    with embedded_services(folder) as services:
        sql(services.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        valkey(services.broker_url, "SET", "kept", "7")
        time.sleep(1.1)  # appendfsync everysec
        for pid in (services.postgres_pid or 0, services.valkey_pid or 0):
            os.kill(pid, signal.SIGKILL)
            while alive(pid):
                time.sleep(0.01)

    with embedded_services(folder) as again:
        assert sql(again.database_url, "SELECT number FROM kept") == (7,)
        assert valkey(again.broker_url, "GET", "kept") == "7"


@on_linux
def test_a_pid_that_came_round_again_does_not_block_postgres(folder: Path) -> None:
    with embedded_services(folder, broker=False):
        left = (folder / "postgres/postmaster.pid").read_text()
    (folder / "postgres/postmaster.pid").write_text("\n".join([str(os.getpid()), *left.split("\n")[1:]]))

    with embedded_services(folder, broker=False) as again:
        assert sql(again.database_url, "SELECT 1") == (1,)


@on_linux
def test_it_runs_on_when_the_thread_that_started_it_ends(folder: Path) -> None:
    block, found = embedded_services(folder, database=False), []
    thread = threading.Thread(target=lambda: found.append(block.__enter__()))
    thread.start()
    thread.join()
    time.sleep(0.3)

    assert valkey(found[0].broker_url, "PING")
    block.__exit__(None, None, None)
    assert not alive(found[0].valkey_pid or 0)


def test_production_is_refused_unless_both_have_a_url(folder: Path) -> None:
    with pytest.raises(EmbeddedRefusedError, match="set DATABASE_URL and BROKER_URL"):
        embedded_services(folder, environment="production", broker=False).__enter__()
    with embedded_services(folder, environment="production", database=False, broker=False) as services:
        assert services == ServiceUrls("", "")


def test_what_has_a_url_is_not_started(folder: Path) -> None:
    with embedded_services(folder, database=False) as services:
        assert (services.database_url, services.postgres_pid) == ("", None)
        assert not (folder / "postgres").exists()


def test_a_missing_wheel_is_named() -> None:
    with pytest.raises(EmbeddedRefusedError, match="install the embedded extra or set DATABASE_URL and BROKER_URL"):
        program("no-such-wheel", "no_such_wheel", Path("bin/postgres"), None)


def test_data_of_another_major_is_refused(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres/PG_VERSION").write_text("17\n")

    with pytest.raises(EmbeddedRefusedError, match="made by Postgres 17"):
        embedded_services(folder, broker=False).__enter__()


def test_a_failed_start_shows_the_end_of_the_log(folder: Path) -> None:
    with embedded_services(folder, broker=False):
        pass
    (folder / "postgres/postgresql.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(ServiceFailedError, match="no_such_setting"):
        embedded_services(folder, broker=False).__enter__()


def test_another_port_is_tried(folder: Path) -> None:
    ports: list[int] = []

    def launch(port: int) -> Leash:
        ports.append(port)
        return Leash(["sh", "-c", "exit 1" if len(ports) == 1 else "sleep 60"], environment={"PATH": os.defpath})

    service = start("stub", launch, lambda port: ports.index(port) == 1, folder / "log")
    service.stop()

    assert ports == [ports[0], service.port]


def test_services_env_is_for_us_alone(folder: Path) -> None:
    write_services_env(folder, ServiceUrls("postgresql://a", "redis://b"))
    write_services_env(folder, ServiceUrls("postgresql://c", "redis://d"))

    assert (folder / "services.env").read_text() == "DATABASE_URL=postgresql://c\nBROKER_URL=redis://d\n"
    assert [(file.name, file.stat().st_mode & 0o777) for file in folder.iterdir()] == [("services.env", 0o600)]


@as_root
def test_a_folder_behind_a_closed_door_keeps_its_data_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as passable:
        Path(passable).chmod(0o711)
        monkeypatch.setattr("deploy.embedded.account.ELSEWHERE", Path(passable) / "elsewhere")

        opened = open_folder(folder / "below", NOBODY)

        assert opened == open_folder(folder / "below", NOBODY) == (folder / "below/services").resolve()
        assert NOBODY.closed_door(opened) is None
        assert opened != open_folder(folder / "other", NOBODY)
    assert folder.stat().st_mode & 0o777 == 0o700


@as_root
def test_where_no_folder_can_be_had_the_closed_one_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.embedded.account.ELSEWHERE", folder / "elsewhere")

    with pytest.raises(EmbeddedRefusedError, match=rf"chmod o\+x {folder}"):
        open_folder(folder / "below", NOBODY)


def test_what_dies_is_started_again_where_it_was(folder: Path) -> None:
    with embedded_services(folder) as services:
        sql(services.database_url, "CREATE TABLE kept AS SELECT 7 AS number")
        before = (services.postgres_pid or 0, services.valkey_pid or 0)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while (services.postgres_pid in before or services.valkey_pid in before) and time.monotonic() < deadline:
            services.check()
            time.sleep(0.05)

        assert sql(services.database_url, "SELECT number FROM kept") == (7,)
        assert valkey(services.broker_url, "PING") in {"PONG", True}


@as_root
def test_the_owner_of_the_data_goes_on_owning_it(folder: Path) -> None:
    os.chown(folder, 12345, 54321)
    assert account_for(folder) == Account(12345, 54321)


@as_root
def test_programs_out_of_reach_are_copied_once(folder: Path) -> None:
    folder.chmod(0o711)
    tree, copy, path = folder / "closed" / "wheel", folder / "copy", Path("bin/server")
    (tree / "bin").mkdir(parents=True)
    (tree / path).write_text("a server")
    (tree / path).chmod(0o700)
    tree.with_name("wheel.libs").mkdir()
    tree.parent.chmod(0o700)

    found = reachable(tree, path, NOBODY, copy=copy)
    inode = found.stat().st_ino
    assert found == copy / "wheel" / path
    assert found.stat().st_mode & 0o777 == 0o755
    assert reachable(tree, path, NOBODY, copy=copy).stat().st_ino == inode
    assert reachable(tree, path, None, copy=copy) == tree / path
    assert sorted(entry.name for entry in folder.iterdir()) == ["closed", "copy"]
    os.chown(copy, 12345, 54321)
    with pytest.raises(EmbeddedRefusedError, match="was not made by us"):
        reachable(tree, path, NOBODY, copy=copy)


@on_linux
def test_a_free_port_is_nobodys_and_none_that_the_system_gives_to_callers() -> None:
    found = [free_port() for _ in range(50)]

    assert len(set(found)) == len(found)
    assert max(found) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    for port in found:
        socket.create_server(("127.0.0.1", port)).close()
