"""A40: Jumio's addresses change while a receiver runs and a connection stays; each request is judged for itself."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deploy.simulator.dns import DnsServer
from receiver.callers import REMEMBER_SECONDS
from tests.crash_proof.clock import Clock
from tests.receiver.conftest import NAMES
from tests.receiver.serving import JUMIO, Served, serve

NEW = "127.0.0.13"
HOUR = 3600


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    clock = Clock.where_possible(tmp_path)
    if clock is None:
        pytest.skip("no C compiler for the clock")
    return clock


@pytest.fixture
def receiver(environment: dict[str, str], clock: Clock, tmp_path: Path) -> Iterator[Served]:
    with serve({**environment, **clock.environment("door")}, tmp_path) as served:
        served.until_ready("durable_write", "allowlist")
        yield served


def test_who_leaves_dns_is_heard_for_the_grace_on_the_same_connection_and_then_no_more(
    receiver: Served, dns: DnsServer, clock: Clock
) -> None:
    staying = http.client.HTTPConnection(receiver.host, receiver.port, timeout=20, source_address=(JUMIO, 0))

    def answers(count: int) -> set[int]:
        return {_post(staying) for _ in range(count)}

    with closing(staying):
        assert receiver.post(peer=NEW) == 403
        assert answers(50) == {200}
        dns.set(NAMES[0], addresses=[NEW])
        # It was asked for in vain a moment ago; the look-up for another finds it.
        assert receiver.post(peer="127.0.0.77") == 403
        assert receiver.post(peer=NEW) == 200
        assert answers(49) == {200}
        clock.step("door", 23 * HOUR)
        time.sleep(REMEMBER_SECONDS)
        assert answers(1) == {200}
        clock.step("door", 25 * HOUR)
        time.sleep(REMEMBER_SECONDS)
        assert answers(1) == {403}
        assert receiver.post(peer=NEW) == 200


def _post(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/callbacks/default", b"{}")
    response = connection.getresponse()
    response.read()
    return response.status
