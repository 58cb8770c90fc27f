"""Migrations: all or nothing, once, by one at a time, and equal to the schema as it stands."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.embedded.wheels import postgres_programs
from deploy.migrate import Migration, MigrationError, known_migrations, migrate, require_current
from tests.schemas.test_verdicts_as_of import as_of, tell

# From here on there is all that a verdict rests on.
WITH_DATA = 14

New = Callable[[], str]
Owner = Callable[[str, str], str]


@pytest.fixture
def new_database(database_url: str) -> Iterator[New]:
    """Makes an empty database beside the one of the tests."""
    made = []

    def make() -> str:
        name = f"migrate_{uuid4().hex[:12]}"
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        made.append(name)
        return make_conninfo(database_url, dbname=name)

    yield make
    with psycopg.connect(database_url, autocommit=True) as conn:
        for name in made:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def owner(database_url: str) -> Iterator[Owner]:
    """Gives a database to a login of its own, without rights but those that are said."""
    made = []

    def make(rights: str, url: str) -> str:
        name, database = f"owner_{uuid4().hex[:8]}", conninfo_to_dict(url)["dbname"]
        made.append((name, url))
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(f"CREATE ROLE {name} LOGIN {rights} PASSWORD 'x'".encode())
            conn.execute(f"ALTER DATABASE {database} OWNER TO {name}".encode())
        return make_conninfo(url, user=name, password="x")

    yield make
    with psycopg.connect(database_url, autocommit=True) as conn:
        for name, url in made:
            conn.execute(f"ALTER DATABASE {conninfo_to_dict(url)['dbname']} OWNER TO CURRENT_USER".encode())
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute(f"DROP OWNED BY {name} CASCADE".encode())
            conn.execute(f"DROP ROLE {name}".encode())


def test_migrating_twice_applies_everything_once(new_database: New) -> None:
    with opened(new_database()) as conn:
        first, second = migrate(conn), migrate(conn)

        require_current(conn)

    assert first == [migration.name for migration in known_migrations()]
    assert second == []


def test_the_schema_as_it_stands_is_what_the_migrations_make(new_database: New) -> None:
    migrated, stands = new_database(), new_database()
    with opened(migrated) as conn:
        migrate(conn)
    with opened(stands) as conn:
        conn.execute(files("schemas.sql").joinpath("tables.sql").read_bytes())

    assert dump(stands) == dump(migrated)


def test_a_failing_file_leaves_nothing_behind(new_database: New) -> None:
    broken = Migration(1, "0001_broken.sql", b"CREATE TABLE pipeline.half (id int); SELECT 1 / 0")
    with opened(new_database()) as conn:
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate(conn, [broken])

        assert conn.execute("SELECT to_regclass('pipeline.half')").fetchone() == (None,)
        assert conn.execute("SELECT count(*) FROM pipeline.migrations").fetchone() == (0,)


def test_a_newer_schema_is_refused(new_database: New) -> None:
    with opened(new_database()) as conn:
        migrate(conn)
        conn.execute("INSERT INTO pipeline.migrations VALUES (9999, '9999_future.sql', 'x')")

        with pytest.raises(MigrationError, match="install a newer one"):
            migrate(conn)
        with pytest.raises(MigrationError, match="install a newer one"):
            require_current(conn)


def test_an_edited_file_is_refused(new_database: New) -> None:
    with opened(new_database()) as conn:
        migrate(conn)
        first, *others = known_migrations()

        with pytest.raises(MigrationError, match="was edited"):
            migrate(conn, [Migration(first.version, first.name, first.sql + b"-- more"), *others])


def test_an_empty_database_says_what_to_run(new_database: New) -> None:
    with opened(new_database()) as conn, pytest.raises(MigrationError, match="jumio-pipeline migrate"):
        require_current(conn)


def test_of_two_migrators_at_once_one_applies(new_database: New) -> None:
    url = new_database()
    applied: list[list[str]] = []

    def run() -> None:
        with opened(url) as conn:
            applied.append(migrate(conn))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(name for names in applied for name in names) == [each.name for each in known_migrations()]


def test_an_owner_who_is_no_superuser_migrates_one_release_at_a_time_with_what_is_there(
    new_database: New, owner: Owner
) -> None:
    """Each in a session of its own, as releases come: what the one before has loaded or set is not there any more."""
    url = owner("CREATEROLE", new_database())
    known = known_migrations()
    for count in range(1, len(known) + 1):
        with opened(url) as conn:
            migrate(conn, known[:count])
            if count == WITH_DATA:
                tell(conn, (1, "passed", 2, 2), (2, "rejected", 10, 10))

    with opened(url) as conn:
        require_current(conn)
        assert as_of(conn, 9) == ["passed"]
        assert conn.execute("SELECT count(*) FROM compliance.identities").fetchone() == (0,)


def test_an_owner_who_may_not_create_roles_is_told_what_to_do(new_database: New, owner: Owner) -> None:
    missing = f"jumio_receiver_{uuid4().hex[:8]}"
    *before, last = known_migrations()[:4]
    needs = Migration(last.version, last.name, last.sql.replace(b"jumio_receiver", missing.encode()))
    with opened(owner("NOCREATEROLE", new_database())) as conn:
        with pytest.raises(
            MigrationError, match=f"role {missing} is missing.*As a superuser: ALTER ROLE .* CREATEROLE"
        ):
            migrate(conn, [*before, needs])

        assert conn.execute("SELECT to_regclass('pipeline.audit')").fetchone() == (None,)


@contextmanager
def opened(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


def dump(url: str) -> str:
    """The schema by Postgres's own tool, without the ledger, which only the migrator makes."""
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password"))
    done = subprocess.run(
        [
            postgres_programs(None) / "pg_dump",
            "--schema-only",
            "--no-owner",
            "--exclude-table=pipeline.migrations",
            make_conninfo("", **parts),
        ],
        env={**os.environ, "PGPASSWORD": password},  # noqa: TID251 - libpq's own way to be told
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)
