"""Servers that end with the test, a client in a hurry, and a fleet."""

from collections.abc import Callable, Iterator

import pytest
from psycopg import Connection

from schemas.sealing import KeyRing
from tests.workers.jumio.fleet import Fleet, Region
from tests.workers.jumio.scripted import Asked, Script, Server
from workers.jumio.transport import Http


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Asked], Script]], Server]]:
    """Starts servers that end with the test."""
    servers: list[Server] = []

    def start(answer: Callable[[Asked], Script]) -> Server:
        servers.append(Server(answer).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def http() -> Iterator[Http]:
    client = Http(total_seconds=1.0)
    yield client
    client.close()


@pytest.fixture
def fleet(
    serve: Callable[[Callable[[Asked], Script]], Server], http: Http, keys: KeyRing, conn: Connection
) -> Iterator[Fleet]:
    region = Region()
    conn.execute("DELETE FROM pipeline.breakers")
    yield Fleet(conn, region, serve(region), http, keys)
    conn.execute("DELETE FROM pipeline.breakers")
