"""Postgres on a folder: made once, started, answered, stopped."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import structlog

from deploy.embedded.account import Account, own
from deploy.embedded.errors import EmbeddedRefusedError, ServiceFailedError
from deploy.embedded.folder import log_tail, password
from deploy.embedded.leash import Leash
from deploy.embedded.ports import Service, start
from deploy.embedded.wheels import postgres_major, postgres_programs

log = structlog.get_logger()

NAME = "jumio"  # of the superuser and of the database
STOP_SECONDS = 10.0  # a fast shutdown writes one checkpoint of at most shared_buffers
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}  # nothing of ours: PG* variables would change what it does
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "io_method": "sync",  # three processes fewer; a demo does not read ahead
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    # A row or a statement in the log would be personal data in the log.
    "log_statement": "none",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}


@contextmanager
def running(folder: Path, account: Account | None, lock: int) -> Iterator[tuple[str, Service]]:
    """The URL and the service."""
    data, output = folder / "postgres", folder / "postgres.log"
    programs = postgres_programs(account)
    if data.exists():
        _refuse_foreign(folder, data)
    else:
        _initdb(folder, data, programs, account, lock)
    end_leftover(data)

    url = partial(_url, password(folder, "postgres", account))
    launch = partial(_launch, programs / "postgres", data, output, account, lock)
    service = start("postgres", lambda port: launch(port=port), lambda port: _answers(url(port)), output)
    try:
        yield url(service.port), service
    finally:
        service.stop()


def end_leftover(data: Path) -> None:
    """Ask a postmaster that outlived its run to stop; forget the pid of one that is gone, as pids come round again."""
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n")[0])
        serves = Path(f"/proc/{pid}/cwd").readlink() == data
    except (PermissionError, ValueError):
        return  # not proven either way: Postgres decides
    except FileNotFoundError:
        serves = False  # no such file, or no such process, or a zombie
    if serves:
        os.kill(pid, signal.SIGINT)
    elif Path("/proc/self").exists():
        file.unlink(missing_ok=True)


def _refuse_foreign(folder: Path, data: Path) -> None:
    major = (data / "PG_VERSION").read_text().strip()
    if major != postgres_major():
        raise EmbeddedRefusedError(
            f"{data} was made by Postgres {major}, and this is {postgres_major()}: move it away, or dump it with "
            f"Postgres {major} and load it again"
        )
    if not (folder / "postgres.password").exists():
        raise EmbeddedRefusedError(f"{folder}/postgres.password is missing: bring it back, or move {data} away")


def _initdb(folder: Path, data: Path, programs: Path, account: Account | None, lock: int) -> None:
    """In a folder of another name until it is whole: one that was killed half-way starts over."""
    fresh, output = folder / "postgres.new", folder / "postgres.log"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    own(fresh, account)
    password(folder, "postgres", account)
    command = [
        *(str(programs / "initdb"), "--pgdata", str(fresh), "--username", NAME, "--no-instructions"),
        *("--auth=scram-sha-256", "--pwfile", str(folder / "postgres.password")),
        *("--encoding=UTF8", "--locale=C", "--data-checksums"),
    ]
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log_file:
        try:
            subprocess.run(  # noqa: S603  our own binary and arguments
                command,
                check=True,
                cwd=fresh,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                pass_fds=[lock],
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ServiceFailedError(
                f"initdb failed: {error}; the end of {output} says:\n{log_tail(output)}"
            ) from error
    fresh.rename(data)


def _launch(program: Path, data: Path, output: Path, account: Account | None, lock: int, *, port: int) -> Leash:
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return Leash(
        [str(program), "-D", str(data), "-p", str(port), *settings],
        environment=ENVIRONMENT,
        ending=signal.SIGINT,  # fast: does not wait for sessions
        grace=STOP_SECONDS,
        output=output,
        folder=data,
        account=account,
        keep=[lock],
    )


def _url(secret: str, port: int, database: str = NAME) -> str:
    return f"postgresql://{NAME}:{secret}@127.0.0.1:{port}/{database}"


def _answers(url: str) -> bool:
    """Makes the database the first time."""
    try:
        with psycopg.connect(url.removesuffix(NAME) + "postgres", autocommit=True, connect_timeout=5) as conn:
            known = conn.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).fetchone()
            if known is None:
                conn.execute(f"CREATE DATABASE {NAME}")
    except psycopg.OperationalError:
        return False
    return True
