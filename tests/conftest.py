"""Real Postgres and Valkey for every test, emptied between tests."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg import Connection

from deploy.embedded.services import ServiceUrls, embedded_services
from deploy.migrate import migrate
from schemas.sealing import KeyRing


@pytest.fixture(scope="session")
def services() -> Iterator[ServiceUrls]:
    # Not tmp_path: pytest keeps its folders to itself, and as root Postgres runs as someone else.
    with TemporaryDirectory(prefix="jumio-pipeline-") as folder, embedded_services(Path(folder)) as urls:
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
    return services.broker_url


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def keys() -> KeyRing:
    return KeyRing.parse(KeyRing.generate())


def empty(conn: Connection) -> None:
    """DELETE, because TRUNCATE of so many tables takes a hundred times as long."""
    for table in (
        "deliveries", "subscriptions", "events", "image_blobs", "images", "identities", "steps", "checks", "verdicts",
        "reports", "workflows", "callbacks", "tokens", "source_lookups", "source_addresses", "pulses",
    ):  # fmt: skip
        conn.execute(f"DELETE FROM pipeline.{table}".encode())
