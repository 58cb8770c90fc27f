"""Servers that end with the test, and a client in a hurry."""

from collections.abc import Callable, Iterator

import pytest

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
