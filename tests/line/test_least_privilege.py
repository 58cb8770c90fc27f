"""The whole line with a login of its own for each process, none of which may do what another's work is."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection

from deploy.audit import verify
from deploy.demo.subscriber import Subscriber, running_subscriber
from deploy.drift import read_drift
from deploy.explain import explain_source
from deploy.migrate import require_current
from deploy.requeue import requeue_parked, requeue_refused
from deploy.signing_secrets import read_or_create_secret_file
from deploy.simulator.run import Simulator
from deploy.status import read_status
from deploy.subscriptions import add, list_all, remove
from schemas.sealing import KeyRing
from schemas.settings import Settings, inherited_environment
from tests.line.test_whole_line import COMMAND, client, operate
from tests.waiting import until

RING = KeyRing.generate()
KEYS = KeyRing.parse(RING)
LOCAL = (ip_network("127.0.0.0/8"),)
EVENTS = b"SELECT type FROM compliance.events WHERE workflow_key = %s AND delivered = 1 ORDER BY sequence"


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with running_subscriber() as running:
        yield running


@pytest.fixture
def environments(login: Callable[[str], str], simulator: Simulator, broker_url: str) -> dict[str, dict[str, str]]:
    shared = {
        **inherited_environment(),
        **simulator.environment(),
        "BROKER_URL": broker_url,
        "BIND": "127.0.0.1:0",
        "METRICS_BIND": "127.0.0.1:0",
        "ENCRYPTION_KEYS": RING,
        "JUMIO_RETRY_SECONDS": "0,0,0,0",
        "JUMIO_RETRIEVAL_RATE": "200/s",
        "JUMIO_LEGACY_RATE": "200/s",
        "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
        "LOG_FORMAT": "json",
        "WORKER_PROCESSES": "1",
    }
    roles = ("jumio_receiver", "jumio_relay", "jumio_worker", "jumio_admin", "compliance_auditor")
    return {role: {**shared, "DATABASE_URL": login(role)} for role in roles}


def test_a_callback_becomes_an_event_through_three_logins(
    conn: Connection,
    environments: dict[str, dict[str, str]],
    simulator: Simulator,
    subscriber: Subscriber,
    tmp_path: Path,
) -> None:
    admin, auditor = environments["jumio_admin"], environments["compliance_auditor"]
    [execution] = simulator.create(outcomes=["passed"])
    [scan] = simulator.create_legacy("netverify")
    execution.details["capabilities"]["newCheck"] = []  # type: ignore[index]

    with started(environments, tmp_path) as door, operator(admin) as operating:
        secret = read_or_create_secret_file(tmp_path / "secret")[0]
        added = add(operating, subscriber.url, keys=KEYS, private=LOCAL, secret=secret)
        subscriber.secret = added.secret
        with client("127.0.0.99") as stranger:
            assert stranger.post(f"{door}/callbacks/default", content=b"{}").status_code == 403
        sent = simulator.play(f"{door}/callbacks/default", [execution, scan], rate=None).sent
        assert {each.answer for each in sent} == {200}
        for key in (execution.key, scan.key):
            until(lambda key=key: len(conn.execute(EVENTS, [key]).fetchall()) == 2)
        operate_everything(operating, added.id)
        until(lambda: not conn.execute(b"SELECT FROM pipeline.audit_unsealed").fetchall())

    with operator(auditor) as verifying:
        assert verify(verifying).wrong == []
    for log in tmp_path.glob("*.log"):
        assert "InsufficientPrivilege" not in log.read_text(), log.name
        assert "database_away" not in log.read_text(), log.name
    refused = operate(("status",), auditor)
    assert refused.returncode == 1
    assert refused.stderr == "Error: DATABASE_URL's login may not do this: permission denied for table callbacks\n"


def operate_everything(conn: Connection, subscription_id: UUID) -> None:
    """What the operator's commands do, but for what it prints."""
    assert set(read_status(conn)["processes"]) == {"receiver", "relay", "worker"}
    assert read_drift(conn)
    explain_source(conn, ip_address("127.0.0.11"), Settings.load("operator", {"DATABASE_URL": "postgresql://unused"}))
    requeue_parked(conn, None)
    assert requeue_refused(conn, None) == {"callbacks": 1}
    assert [each.id for each in list_all(conn)] == [subscription_id]
    remove(conn, str(subscription_id))


@contextmanager
def operator(environment: dict[str, str]) -> Iterator[Connection]:
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        require_current(connection)
        yield connection


@contextmanager
def started(environments: dict[str, dict[str, str]], folder: Path) -> Iterator[str]:
    """Receiver, relay and worker; where the door is."""
    ready = folder / "ready"
    with ExitStack() as stack:
        for name, more in (("receiver", ("--ready-file", str(ready))), ("relay", ()), ("worker", ())):
            output = stack.enter_context((folder / f"{name}.log").open("w"))
            process = subprocess.Popen([COMMAND, name, *more], env=environments[f"jumio_{name}"], stderr=output)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        until(ready.exists)
        door = f"http://{ready.read_text().split()[0]}"
        with client("127.0.0.11") as jumio:
            until(lambda: jumio.get(f"{door}/readyz/door").status_code == 200)
        yield door
