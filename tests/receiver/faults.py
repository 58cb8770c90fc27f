"""What a test does to the real Postgres, and undoes."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg


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
        conn.execute(f"ALTER SYSTEM SET {name} = {value}")
        conn.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)
        try:
            yield
        finally:
            conn.execute(f"ALTER SYSTEM RESET {name}")
            conn.execute("SELECT pg_reload_conf()")
            time.sleep(0.3)


@contextlib.contextmanager
def role_setting(url: str, name: str, value: str) -> Iterator[None]:
    """A configuration of the role's own."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"ALTER ROLE CURRENT_USER SET {name} = {value}")
        try:
            yield
        finally:
            conn.execute(f"ALTER ROLE CURRENT_USER RESET {name}")
