"""A receiver, and three ways to it; each is there once for all tests of a module, and leaves nothing."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import Connection

from deploy.embedded.services import ServiceUrls
from deploy.simulator.dns import DnsServer
from schemas.sealing import KeyRing
from tests.conftest import empty
from tests.receiver.catalogue.case import Case, Way, post
from tests.receiver.catalogue.proxies import PROXIES, is_installed
from tests.receiver.catalogue.talk import Heard, talk
from tests.receiver.serving import JUMIO, JUMIO_TOO, KEYS, STRANGER, Served, serve

RING = KeyRing.parse(KEYS)
# Everyone but Jumio who calls or is forwarded for: a first call of each costs a look-up.
STRANGERS = [STRANGER, "127.0.0.1", "127.0.0.10", "127.0.0.13", "127.0.1.5", "127.0.2.5"]


@dataclass
class Front:
    """A receiver and the way to it."""

    way: Way
    port: int
    served: Served
    conn: Connection
    refusals: set[bytes] = field(default_factory=set)

    def send(self, case: Case) -> Heard:
        answers = max(map(len, case.outcome(self.way).alternatives))
        tls = self.way != "direct" and not case.plain
        return talk(self.port, case.data, peer=case.peer, tls=tls, answers=answers, half_close=case.half_close)

    def rows(self) -> list[bytes]:
        """The bodies that were kept since the last time."""
        taken = self.conn.execute("DELETE FROM pipeline.callbacks RETURNING state, id, sealed_body").fetchall()
        kept = [(number, sealed) for state, number, sealed in taken if state != "refused"]
        return [RING.unseal(sealed, place=f"callbacks.body/{number}") for number, sealed in kept]


@pytest.fixture(scope="module", params=["direct", "nginx", "haproxy"])
def front(
    request: pytest.FixtureRequest, services: ServiceUrls, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    way: Way = request.param
    if way != "direct" and not is_installed(way):
        pytest.skip(f"{way} is not installed; make door-proof says how")
    folder = tmp_path_factory.mktemp(way)
    with contextlib.ExitStack() as stack:
        zone = {"callback.one.test": [JUMIO, JUMIO_TOO, "2a05:d018::1"]}
        dns = stack.enter_context(DnsServer(zone).running())
        environment = {
            "DATABASE_URL": services.database_url,
            "ENCRYPTION_KEYS": KEYS,
            "BIND": "127.0.0.1:0",
            "METRICS_BIND": "127.0.0.1:0",
            "SOURCE_HOSTS": "callback.one.test",
            "SOURCE_ALLOW_PRIVATE": "true",
            "DNS_SERVERS": dns.address,
            "TRUSTED_PROXIES": "127.0.1.0/24" if way == "direct" else "127.0.0.1/32",
            "LOG_FORMAT": "json",
        }
        served = stack.enter_context(serve(environment, folder))
        served.until_ready("durable_write", "allowlist")
        port = served.port if way == "direct" else stack.enter_context(PROXIES[way](folder, served.port))
        conn = stack.enter_context(psycopg.connect(services.database_url, autocommit=True))
        tls = way != "direct"
        with ThreadPoolExecutor(len(STRANGERS)) as crowd:
            list(crowd.map(lambda peer: talk(port, post(), peer=peer, tls=tls), STRANGERS))
        empty_handed = Front(way, port, served, conn)
        empty_handed.rows()
        yield empty_handed
        empty(conn)
