"""Plain SQL files -> the schema: numbered, append-only, each in a transaction of its own, one migrator at a time."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString

import structlog
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege, LockNotAvailable, RaiseException, UndefinedTable

log = structlog.get_logger()

# "jumio-pipeline migrations": any constant that no one else locks.
_LOCK = 7_408_119_326_001
# Long enough for a neighbour's migration, short enough that a release notices that it is stuck.
_LOCK_TIMEOUT = "60s"

_LEDGER: tuple[LiteralString, ...] = (
    "CREATE SCHEMA IF NOT EXISTS pipeline",
    """CREATE TABLE IF NOT EXISTS pipeline.migrations (
        version integer PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )""",
    # Every process asks at its start whether the schema is the one it knows.
    "GRANT SELECT ON pipeline.migrations TO PUBLIC",
)


class MigrationError(Exception):
    """The schema was left as it was; the text says why and what to do."""


@dataclass(frozen=True)
class Migration:
    """One numbered file; the checksum notices when it is edited after it was applied."""

    version: int
    name: str
    sql: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.sql).hexdigest()


def known_migrations() -> list[Migration]:
    """The files that this release brings, in order."""
    folder = files("schemas.sql").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    found = [Migration(int(name[:4]), name, folder.joinpath(name).read_bytes()) for name in names]
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("migrations are numbered 0001, 0002, ... without a gap; a file is missing or doubled")
    return found


def migrate(conn: Connection, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing, and say what was. Raises MigrationError; nothing of a failed file stays."""
    known = known_migrations() if migrations is None else migrations
    applied = []
    try:
        with conn.transaction():
            _lock(conn)
            for statement in _LEDGER:
                conn.execute(statement)
        for migration in known:
            with conn.transaction():
                _lock(conn)
                done = _check(_ledger(conn), known)
                if migration.version not in done:
                    _apply(conn, migration)
                    applied.append(migration.name)
    except LockNotAvailable:
        raise MigrationError(
            "another migration, or a long query, holds the lock; try again when it has ended"
        ) from None
    return applied


def require_current(conn: Connection) -> None:
    """Raises MigrationError unless the schema is exactly the one that this release knows."""
    known = known_migrations()
    try:
        done = _check(_ledger(conn), known)
    except UndefinedTable:
        raise MigrationError("the database is empty; run: jumio-pipeline migrate") from None
    if len(done) < len(known):
        raise MigrationError(f"{len(known) - len(done)} migrations are missing; run: jumio-pipeline migrate")


def _lock(conn: Connection) -> None:
    conn.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
    conn.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _ledger(conn: Connection) -> dict[int, str]:
    return dict(conn.execute("SELECT version, checksum FROM pipeline.migrations").fetchall())


def _check(done: dict[int, str], known: list[Migration]) -> dict[int, str]:
    newer = set(done) - {migration.version for migration in known}
    if newer:
        raise MigrationError(
            f"the schema is at {max(newer):04}, this release knows {len(known):04}; install a newer one"
        )
    for migration in known:
        if done.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(f"{migration.name} was edited after it was applied; restore it and add a new file")
    return done


def _apply(conn: Connection, migration: Migration) -> None:
    try:
        conn.execute(migration.sql)
    except (InsufficientPrivilege, RaiseException) as error:
        told = [migration.name, error.diag.message_primary, error.diag.message_hint]
        raise MigrationError(": ".join(text for text in told if text)) from error
    conn.execute(
        "INSERT INTO pipeline.migrations (version, name, checksum) VALUES (%s, %s, %s)",
        [migration.version, migration.name, migration.checksum],
    )
    log.info("migration.applied", migration=migration.name)
