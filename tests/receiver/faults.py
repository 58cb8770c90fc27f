"""What a test does to the real Postgres, and undoes."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.waiting import until


def terminate(url: str) -> None:
    """Cut the receivers' connections."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jumio-receiver'")


def cancel(url: str) -> None:
    """End what the receivers' connections are doing, with an error; the connections stay."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'jumio-receiver'")


@contextlib.contextmanager
def frozen(url: str) -> Iterator[None]:
    """All of Postgres stopped, connections and all."""
    with psycopg.connect(url, autocommit=True) as conn:
        pids = [pid for [pid] in conn.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]
        [[folder]] = conn.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'").fetchall()
    pids.append(int(Path(folder, "postmaster.pid").read_text().splitlines()[0]))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def setting(url: str, name: str, value: str) -> Iterator[None]:
    """Another configuration."""
    with psycopg.connect(url, autocommit=True) as conn:
        [(before,)] = conn.execute(f"SHOW {name}").fetchall()
        conn.execute(f"ALTER SYSTEM SET {name} = {value}")
        conn.execute("SELECT pg_reload_conf()")
        until(lambda: _shown(url, name) == value)
        try:
            yield
        finally:
            conn.execute(f"ALTER SYSTEM RESET {name}")
            conn.execute("SELECT pg_reload_conf()")
            until(lambda: _shown(url, name) == before)


def _shown(url: str, name: str) -> str:
    """What a new connection is given: the others follow when they are next asked."""
    with psycopg.connect(url, autocommit=True) as conn:
        [(value,)] = conn.execute(f"SHOW {name}").fetchall()
        return str(value)


@contextlib.contextmanager
def role_setting(url: str, name: str, value: str) -> Iterator[None]:
    """A configuration of the role's own."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"ALTER ROLE CURRENT_USER SET {name} = {value}")
        try:
            yield
        finally:
            conn.execute(f"ALTER ROLE CURRENT_USER RESET {name}")
