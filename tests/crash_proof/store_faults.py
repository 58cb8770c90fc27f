"""Faults of Postgres and Valkey that run and do not do what they are asked."""

import contextlib
from collections.abc import Iterator
from random import Random

import psycopg
import redis

from tests.crash_proof.faults import fault
from tests.crash_proof.line import Line


@fault("flushall", "valkey")
def flushall(line: Line, _random: Random) -> Iterator[None]:
    """FLUSHALL: every message, budget and stream entry is gone."""
    with line.valkey() as valkey:
        valkey.flushall()
    yield


@fault("valkey read-only", "valkey")
def read_only_broker(line: Line, _random: Random) -> Iterator[None]:
    """REPLICAOF a server that is not there; then NO ONE."""
    with line.valkey() as valkey:
        valkey.replicaof("127.0.0.1", 1)
        yield
        valkey.replicaof("NO", "ONE")


@fault("valkey out of memory", "valkey")
def full_broker(line: Line, _random: Random) -> Iterator[None]:
    """CONFIG SET maxmemory 1mb under noeviction; then 0."""
    with line.valkey() as valkey:
        valkey.config_set("maxmemory", "1mb")
        yield
        valkey.config_set("maxmemory", "0")


@fault("valkey drops its clients", "valkey")
def drop_clients(line: Line, _random: Random) -> Iterator[None]:
    """CLIENT KILL of every connection."""
    with line.valkey() as valkey, contextlib.suppress(redis.RedisError):
        valkey.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
    yield


@fault("postgres drops its sessions", "postgres")
def drop_sessions(line: Line, _random: Random) -> Iterator[None]:
    """pg_terminate_backend of every session."""
    with line.connected() as conn:
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    yield


@fault("postgres read-only", "postgres")
def read_only_postgres(line: Line, _random: Random) -> Iterator[None]:
    """default_transaction_read_only for every session; then reset."""
    _configure(line, "ALTER SYSTEM SET default_transaction_read_only = on")
    yield
    _configure(line, "ALTER SYSTEM RESET default_transaction_read_only")


@fault("postgres out of connections", "postgres")
def full_postgres(line: Line, _random: Random) -> Iterator[None]:
    """Every session ended and every place taken by somebody else; then given back."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            drop = stack.enter_context(line.connected())
            drop.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            while True:
                stack.enter_context(line.connected())
        yield


@fault("a lock on callbacks", "postgres")
def locked_table(line: Line, _random: Random) -> Iterator[None]:
    """ACCESS EXCLUSIVE for the round: every statement on the table waits."""
    with line.connected() as conn, contextlib.suppress(psycopg.errors.LockNotAvailable), conn.transaction():
        conn.execute("SET LOCAL lock_timeout = '1s'")
        conn.execute("LOCK TABLE pipeline.callbacks IN ACCESS EXCLUSIVE MODE")
        yield
        return
    # Somebody who was stopped holds it already.
    yield


def _configure(line: Line, statement: str) -> None:
    with line.connected() as conn:
        conn.execute(statement.encode())
        conn.execute("SELECT pg_reload_conf()")
