"""Real Postgres and Valkey for every test, emptied between tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import hypothesis
import psycopg
import pytest
import redis
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from deploy.embedded.services import ServiceUrls, embedded_services
from deploy.migrate import migrate
from deploy.roles import create
from schemas.sealing import KeyRing
from schemas.settings import inherited_environment
from tests.s3_server import S3Server, s3_server

# How fast a machine draws and runs examples is nobody's promise: a busy one failed tests of what is right.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def services() -> Iterator[ServiceUrls]:
    """Embedded, unless DATABASE_URL or BROKER_URL are set; a Postgres that is not ours lends a database of its own."""
    given = inherited_environment()
    database, broker = given.get("DATABASE_URL", ""), given.get("BROKER_URL", "")
    # Not tmp_path: pytest keeps its folders to itself, and as root Postgres runs as someone else.
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="jumio-pipeline-")))
        urls = stack.enter_context(embedded_services(folder, database=not database, broker=not broker))
        database = stack.enter_context(_database_of_its_own(database)) if database else urls.database_url
        urls = replace(urls, database_url=database, broker_url=broker or urls.broker_url)
        with psycopg.connect(urls.database_url, autocommit=True) as conn:
            migrate(conn)
        yield urls


@pytest.fixture
def database_url(services: ServiceUrls) -> Iterator[str]:
    """A migrated database without a row."""
    yield services.database_url
    with psycopg.connect(services.database_url, autocommit=True) as conn:
        empty(conn)


@pytest.fixture
def broker_url(services: ServiceUrls) -> str:
    """A broker without a key."""
    with redis.Redis.from_url(services.broker_url) as broker:
        broker.flushall()
    return services.broker_url


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def login(conn: Connection, database_url: str) -> Iterator[Callable[[str], str]]:
    """Makes a login that may do what one of our roles may; the address to log in with."""
    made: list[str] = []

    def make(part: str) -> str:
        passwords: list[str] = []
        name = f"{part}_{uuid4().hex[:8]}"
        create(conn, name, part=part, keep=passwords.append)
        made.append(name)
        return make_conninfo(database_url, user=name, password=passwords[0])

    yield make
    for name in made:
        conn.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.fixture(scope="session")
def keys() -> KeyRing:
    return KeyRing.parse(KeyRing.generate())


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(running_s3: S3Server) -> S3Server:
    """A bucket without an object."""
    running_s3.empty()
    return running_s3


@contextmanager
def _database_of_its_own(url: str) -> Iterator[str]:
    name = f"jumio_pipeline_test_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield make_conninfo(url, dbname=name)
        finally:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def empty(conn: Connection) -> None:
    """DELETE, because TRUNCATE of so many tables takes a hundred times as long."""
    for table in (
        "deletions", "tombstones", "erasures", "holds", "relationship_ends",
        "consumers", "deliveries", "retired_secrets", "subscriptions",
        "events", "image_blobs", "images", "identities", "workflows", "callbacks", "tokens", "breakers", "drift",
        "source_lookups", "source_addresses", "pulses", "access_requests", "noted_settings",
    ):  # fmt: skip
        # At once: a verdict goes only with its workflow, and a check with its report.
        together = ("steps", "checks", "verdicts", "reports", table) if table == "workflows" else (table,)
        conn.execute("; ".join(f"DELETE FROM pipeline.{each}" for each in together).encode())
    [(audited,)] = conn.execute("SELECT EXISTS (SELECT FROM pipeline.audit)").fetchall()
    if audited:
        forget_audit(conn)


def forget_audit(conn: Connection) -> None:
    """What nobody but the owner of the tables can do, and only by switching their triggers off."""
    with conn.transaction():
        for table in ("audit", "audit_links"):
            conn.execute(f"ALTER TABLE pipeline.{table} DISABLE TRIGGER USER".encode())
        for table in ("audit", "audit_links", "audit_unsealed"):
            conn.execute(f"DELETE FROM pipeline.{table}".encode())
        for table in ("audit", "audit_links"):
            conn.execute(f"ALTER TABLE pipeline.{table} ENABLE TRIGGER USER".encode())
