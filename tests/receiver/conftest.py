"""An in-process DNS server, and the receiver as a real process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.simulator.dns import DnsServer
from tests.receiver.serving import KEYS, Served, serve

NAMES = ("callback.one.test", "callback.two.test")


@pytest.fixture
def database(database_url: str) -> str:
    """The database, empty."""
    return database_url


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    """Two names; 127.0.0.11 and 127.0.0.12 are Jumio's."""
    with DnsServer({NAMES[0]: ["127.0.0.11"], NAMES[1]: ["127.0.0.12"]}, ttl=60).running() as server:
        yield server


@pytest.fixture
def environment(database: str, dns: DnsServer) -> dict[str, str]:
    """What a receiver of a test is set to."""
    return {
        "DATABASE_URL": database,
        "ENCRYPTION_KEYS": KEYS,
        "BIND": "127.0.0.1:0",
        "METRICS_BIND": "127.0.0.1:0",
        "SOURCE_HOSTS": ",".join(NAMES),
        "SOURCE_ALLOW_PRIVATE": "true",
        "DNS_SERVERS": dns.address,
        "LOG_FORMAT": "json",
    }


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    """A receiver that knows its addresses."""
    with serve(environment, tmp_path) as receiver:
        receiver.until_ready("durable_write", "allowlist")
        yield receiver
