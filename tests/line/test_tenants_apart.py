"""Two customer accounts at Jumio, one database: the same workflow id in both, and nothing of one reaches the other."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from psycopg import Connection

from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from schemas.sealing import KeyRing
from schemas.settings import Settings
from tests.line.conftest import Hand
from workers import tools as worker_tools
from workers.tools import Tools

OUTCOMES = {"acme": ("passed", "passed"), "globex": ("rejected.no_match", "rejected")}
OPENED_AT = datetime.now(UTC)


@pytest.fixture
def jumios() -> Iterator[dict[str, Simulator]]:
    """Two that invent the same workflow ids, and so send the same bytes."""
    with Simulator(seed="apart", opened_at=OPENED_AT) as acme, Simulator(seed="apart", opened_at=OPENED_AT) as globex:
        yield {"acme": acme, "globex": globex}


@pytest.fixture
def settings(jumios: dict[str, Simulator], database_url: str, broker_url: str, tmp_path: Path) -> Settings:
    file = tmp_path / "tenants.toml"
    with file.open("w") as written:
        for name, jumio in jumios.items():
            keys = {key: value for key, value in jumio.environment().items() if key.startswith("JUMIO_")}
            written.writelines([f"[{name}]\n", *(f'{key.lower()} = "{value}"\n' for key, value in keys.items())])
    return Settings.load(
        "worker",
        {
            "SOURCE_ALLOW_PRIVATE": "true",
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "ENCRYPTION_KEYS": KeyRing.generate(),
            "JUMIO_RETRY_SECONDS": "0,0",
            "JUMIO_TENANTS_FILE": str(file),
        },
    )


@pytest.fixture
def tools(settings: Settings) -> Iterator[Tools]:
    yield worker_tools.open_tools(settings)
    worker_tools.close_tools()


def test_the_same_workflow_id_in_two_tenants_stays_apart(
    hand: Hand, conn: Connection, jumios: dict[str, Simulator]
) -> None:
    for tenant, (how_it_ends, _) in OUTCOMES.items():
        [execution] = jumios[tenant].create(outcomes=[how_it_ends])
        receive(hand, tenant, execution)

    hand.run_until_idle()

    workflows = conn.execute("SELECT tenant, outcome, workflow_key FROM compliance.workflows ORDER BY 1").fetchall()
    [(_, _, key), (_, _, same_key)] = workflows
    assert key == same_key
    assert [(tenant, outcome) for tenant, outcome, _ in workflows] == [
        (tenant, outcome) for tenant, (_, outcome) in OUTCOMES.items()
    ]
    for table in ("reports", "verdicts", "events", "images", "callbacks"):
        found = conn.execute(f"SELECT DISTINCT tenant FROM pipeline.{table} ORDER BY 1".encode()).fetchall()
        assert found == [("acme",), ("globex",)], table
    assert conn.execute("SELECT tenant, version FROM compliance.verdicts ORDER BY 1").fetchall() == [
        ("acme", 1),
        ("globex", 1),
    ]
    assert conn.execute("SELECT tenant, sequence FROM pipeline.events WHERE sequence = 1 ORDER BY 1").fetchall() == [
        ("acme", 1),
        ("globex", 1),
    ]


def test_each_tenants_results_are_read_from_its_own_jumio(
    hand: Hand, conn: Connection, jumios: dict[str, Simulator]
) -> None:
    [execution] = jumios["globex"].create()
    receive(hand, "globex", execution)

    hand.run_until_idle()

    assert not jumios["acme"].stats.counts
    assert conn.execute("SELECT tenant FROM pipeline.tokens").fetchall() == [("globex",)]


def receive(hand: Hand, tenant: str, execution: Execution) -> None:
    callback_id = hand.receive(execution.callback(execution.status, OPENED_AT))
    hand.conn.execute("UPDATE pipeline.callbacks SET tenant = %s WHERE id = %s", [tenant, callback_id])
