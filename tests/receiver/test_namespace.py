"""Jumio's own documented addresses, on real sockets: whoever has one is admitted, its neighbours are not."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.simulator.dns import DnsServer
from schemas.settings import SOURCE_HOSTS
from tests.receiver.namespaces import bridged, inside, obstacle, wired
from tests.receiver.serving import KEYS, Served, serve

DOOR, JUMIO, NEIGHBOUR, OTHER_NEIGHBOUR = "34.202.241.1", "34.202.241.227", "34.202.241.226", "34.202.241.228"
DOOR_6, JUMIO_6, NEIGHBOUR_6 = "2600:1f18::1", "2600:1f18::227", "2600:1f18::226"
CALLERS = (JUMIO, NEIGHBOUR, OTHER_NEIGHBOUR, JUMIO_6, NEIGHBOUR_6)


@pytest.fixture
def through_a_folder(database_url: str) -> Iterator[str]:
    """The database, for whoever has a loopback of its own."""
    server = conninfo_to_dict(database_url)
    host, port = str(server["host"]), int(server["port"] or 5432)
    with tempfile.TemporaryDirectory(prefix="jumio-") as name, bridged(Path(name), host, port):
        yield make_conninfo(database_url, host=name)


def test_who_owns_an_address_of_jumios_is_admitted_and_its_neighbours_are_not(
    through_a_folder: str, database_url: str, tmp_path: Path
) -> None:
    if reason := obstacle():
        pytest.skip(reason)
    far = [f"{address}/{64 if ':' in address else 24}" for address in CALLERS]

    with wired([f"{DOOR}/24", f"{DOOR_6}/64"], far) as (near_end, far_end):
        found = inside(near_end, lambda: calls(far_end, through_a_folder, tmp_path))

    assert found == {
        JUMIO: (200, 200), JUMIO_6: (200, 200),
        NEIGHBOUR: (403, 403), OTHER_NEIGHBOUR: (403, 403), NEIGHBOUR_6: (403, 403),
    }  # fmt: skip
    with psycopg.connect(database_url) as conn:
        kept = conn.execute("SELECT DISTINCT host(client_address), state FROM pipeline.callbacks").fetchall()
    assert dict(kept) == {address: "stored" if first == 200 else "refused" for address, (first, _) in found.items()}


def calls(far_end: str, database_url: str, folder: Path) -> dict[str, tuple[int, int]]:
    """A receiver here and its callers there, with a DNS that gives Jumio's addresses."""
    environment = {
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": KEYS,
        "BIND": "[::]:8080",
        "METRICS_BIND": "127.0.0.1:9090",
        "DNS_SERVERS": "127.0.0.1",
        "LOG_FORMAT": "json",
    }
    with (
        DnsServer({name: [JUMIO, JUMIO_6] for name in SOURCE_HOSTS}, port=53).running(),
        serve(environment, folder) as served,
    ):
        served.until_ready("durable_write", "allowlist")
        return inside(far_end, lambda: answers(served))


def answers(served: Served) -> dict[str, tuple[int, int]]:
    """Plain, and with what would make it Jumio if it were believed; all at once, as a look-up is waited for."""

    def call(address: str) -> tuple[int, int]:
        door = replace(served, host=DOOR_6 if ":" in address else DOOR)
        forged = {"X_Forwarded_For": JUMIO, "X_Real_Ip": JUMIO, "Forwarded": f"for={JUMIO}"}
        return door.post(peer=address), door.post(peer=address, **forged)

    with ThreadPoolExecutor(len(CALLERS)) as crowd:
        return dict(zip(CALLERS, crowd.map(call, CALLERS), strict=True))
