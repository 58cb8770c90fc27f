"""The whole line as an operator runs it: `up` with real processes, real sockets, and a Jumio that is somewhere else."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
import redis
from psycopg.rows import dict_row

from deploy.demo.subscriber import Subscriber, running_subscriber
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from schemas.settings import inherited_environment
from tests.events import validate_event
from tests.waiting import until

COMMAND = str(Path(__file__).parents[2] / ".venv/bin/jumio-pipeline")
# Planted where the receiver sees them; what the simulator invents about people is added in the test.
CANARIES = ("PLANTED-BODY-7431", "PLANTED-QUERY-7432", "PLANTED-HEADER-7433", "PLANTED-AGENT-7434")


@dataclass(frozen=True)
class Up:
    """A running `up`, seen from outside: its folder, its log, its door, and the Jumio and subscriber around it."""

    process: "subprocess.Popen[str]"
    folder: Path
    log: Path
    url: str
    environment: dict[str, str]
    simulator: Simulator
    subscriber: Subscriber

    @property
    def callbacks(self) -> str:
        return f"{self.url}/callbacks/default"

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One command of the operator's, in the environment that services.env describes."""
        return operate(arguments, self.settings())

    def settings(self) -> dict[str, str]:
        lines = (self.folder / "services.env").read_text().splitlines()
        urls = dict(line.split("=", 1) for line in lines)
        return {**self.environment, **urls}

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.settings()["DATABASE_URL"], autocommit=True, row_factory=dict_row) as conn:
            return conn.execute(sql.encode()).fetchall()

    def redis(self) -> "redis.Redis":
        return redis.Redis.from_url(self.settings()["BROKER_URL"], decode_responses=True)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with open_folder() as folder, Simulator(seed="whole") as simulator, running_subscriber() as subscriber:
        environment = {
            **bare_environment(),
            **simulator.environment(),
            "BIND": "127.0.0.1:0",
            "METRICS_BIND": "127.0.0.1:0",
            "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
            "JUMIO_RETRY_SECONDS": "1,1,1,1,1,1",
            "JUMIO_RETRIEVAL_RATE": "200/s",
            "DELIVERY_RETRY_SECONDS": "1,1,1,1",
            "LOG_FORMAT": "json",
            "WORKER_PROCESSES": "2",
        }
        with started(folder / "data", folder / "up.log", environment) as (process, url):
            running = Up(process, folder / "data", folder / "up.log", url, environment, simulator, subscriber)
            secret = folder / "secret"
            assert running.run("subscriptions", "add", subscriber.url, "--secret-file", str(secret)).returncode == 0
            subscriber.secret = secret.read_text().strip()
            yield running


@contextmanager
def open_folder() -> Iterator[Path]:
    """One that others may pass through: as root, Postgres runs as someone else."""
    with TemporaryDirectory(prefix="jumio-pipeline-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def started(data: Path, log: Path, environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with log.open("w") as output:
        process = subprocess.Popen(
            [COMMAND, "up", "--data", str(data)], env=environment, stdout=subprocess.PIPE, stderr=output, text=True
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("ready http://"), log.read_text()
        yield process, line.split()[1]
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


def test_a_callback_becomes_an_event_at_a_subscriber_and_on_the_stream(up: Up) -> None:
    [execution] = up.simulator.create(outcomes=["passed"])

    report = up.simulator.play(up.callbacks, [execution])
    emitted = until(lambda: up.rows(events_of(execution, 2)))

    assert [sent.answer for sent in report.sent] == [200]
    assert [event["type"] for event in emitted] == ["kyc.workflow.decided.v1", "kyc.workflow.images-stored.v1"]
    received = [each for each in up.subscriber.received if each.event["subject"] == execution.key]
    assert [each.verified for each in received] == [True, True]
    assert [each.event["sequence"] for each in received] == [1, 2]
    assert received[0].event["data"]["outcome"] == "passed"
    with up.redis() as stream:
        bodies = [json.loads(fields["body"]) for _, fields in stream.xrange("jumio:events")]
    assert [body["id"] for body in bodies if body["subject"] == execution.key] == [
        str(event["event_id"]) for event in emitted
    ]


def test_webhook_stream_and_feed_carry_the_same_bytes(up: Up) -> None:
    [execution] = up.simulator.create(outcomes=["rejected.digital_copy"])
    up.simulator.play(up.callbacks, [execution])
    until(lambda: up.rows(events_of(execution, 2)))
    token_file = up.folder / "token"
    added = up.run("consumers", "add", "everyone", "--token-file", str(token_file))
    authorization = {"authorization": f"Bearer {token_file.read_text().strip()}"}
    feed = f"http://{up.settings()['FEED_BIND']}/events?limit=1000"

    with client("127.0.0.1") as consumer, up.redis() as stream:
        page = consumer.get(feed, headers=authorization)
        streamed = [fields["body"] for _, fields in stream.xrange("jumio:events") if fields["subject"] == execution.key]
        revoked = up.run("consumers", "revoke", "everyone")
        refused = consumer.get(feed, headers=authorization)

    assert (added.returncode, revoked.returncode) == (0, 0), added.stderr + revoked.stderr
    received = [each.event for each in up.subscriber.received if each.event["subject"] == execution.key]
    assert streamed == [json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in received]
    assert received
    assert [body for body in streamed if body not in page.text] == []
    for event in page.json():
        validate_event(event)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_unknown")
    assert "everyone" in up.run("consumers", "list").stdout


def test_a_stranger_gets_403_and_is_explained(up: Up) -> None:
    with client("127.0.0.99") as stranger:
        answer = stranger.post(up.callbacks, content=b"{}")

    assert answer.status_code == 403
    [kept] = up.rows("SELECT * FROM compliance.callbacks WHERE source_ip = '127.0.0.99'")
    assert (kept["state"], kept["source_evidence"]["rule"]) == ("refused", "refused")
    refused, genuine = up.run("explain-source", "127.0.0.99"), up.run("explain-source", "127.0.0.11")
    assert (refused.returncode, genuine.returncode) == (1, 0)
    assert "would be admitted: DNS gave it for callback." in genuine.stdout
    assert up.run("requeue", "--refused", "--from", "127.0.0.99").returncode == 0
    until(lambda: up.rows("SELECT 1 FROM compliance.callbacks WHERE source_ip = '127.0.0.99' AND state = 'parked'"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"", "empty"), (b'{"a"', "json"), (b'{"a": NaN}', "number"), (b'{"a": "\\u0000"}', "nul_character")],
)
def test_an_unreadable_body_is_kept_parked_and_requeued(up: Up, body: bytes, reason: str) -> None:
    with client("127.0.0.11") as jumio:
        assert jumio.post(up.callbacks, content=body).status_code == 200

    parked = until(
        lambda: up.rows(f"SELECT * FROM compliance.callbacks WHERE reason LIKE '{reason}:%' AND state = 'parked'")
    )
    callback_id: UUID = parked[0]["callback_id"]
    requeued = up.run("requeue", "--callback", str(callback_id))

    assert requeued.returncode == 0, requeued.stderr
    again = f"SELECT 1 FROM compliance.callbacks WHERE callback_id = '{callback_id}' AND state = 'parked'"
    until(lambda: up.rows(f"{again} AND attempts = 1"))


def test_nothing_personal_is_in_any_log(up: Up) -> None:
    executions = up.simulator.create(3, outcomes=["passed"])
    for execution, fault in zip(executions, ("malformed", "5xx", "truncated_image"), strict=True):
        up.simulator.faults.give(execution.key, fault)
        plant(execution)
    body = {"userReference": CANARIES[0], "workflowExecution": {"id": "x y"}, "account": {}}
    headers = {"X-Note": CANARIES[2], "User-Agent": CANARIES[3]}
    with client("127.0.0.11") as jumio:
        jumio.post(f"{up.callbacks}?note={CANARIES[1]}", json=body, headers=headers)

    up.simulator.play(up.callbacks, executions)
    for execution in executions:
        until(lambda execution=execution: up.rows(events_of(execution, 2)))
    people = up.rows("SELECT first_name, last_name, document_number, date_of_birth FROM pipeline.identities")

    personal = {value for person in people for value in person.values() if value} | set(CANARIES)
    logged = "".join(path.read_text(errors="replace") for path in (up.log, *up.folder.glob("*.log")))
    assert len(personal) > 10
    assert "PLANTED" not in logged
    assert logged.count('"event"') > 20
    assert [value for value in personal if value in logged] == []
    with up.redis() as broker:
        assert not any(CANARIES[0] in str(broker.dump(key)) for key in broker.scan_iter())


def test_killed_processes_come_back_and_lose_nothing(up: Up) -> None:
    executions = up.simulator.create(12, outcomes=["passed", "rejected.digital_copy"])
    killed = [pid for name in ("worker", "relay") for pid in pids(up.process.pid, name)]

    report = up.simulator.play(up.callbacks, executions[:6], rate=None)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    with up.redis() as broker:
        broker.flushall()
    later = up.simulator.play(up.callbacks, executions[6:], rate=None)

    assert {sent.answer for sent in report.sent + later.sent} == {200}
    for execution in executions:
        events = until(lambda execution=execution: up.rows(events_of(execution, 2)), seconds=150.0)
        assert [event["sequence"] for event in events] == [1, 2]
    keys = ", ".join(f"'{execution.key}'" for execution in executions)
    assert up.rows(f"SELECT count(*) AS verdicts FROM compliance.verdicts WHERE workflow_key IN ({keys})") == [
        {"verdicts": 12}
    ]


def test_status_metrics_and_readiness_say_how_it_is(up: Up) -> None:
    up.run("requeue", "--parked", "--reason", "nothing")
    status = json.loads(up.run("status", "--json").stdout)
    readable = up.run("status").stdout
    with client("127.0.0.1") as anyone:
        live, ready = anyone.get(f"{up.url}/livez"), anyone.get(f"{up.url}/readyz")
        door, metrics = anyone.get(f"{up.url}/readyz/door"), anyone.get(f"{up.url}/metrics")

    assert set(status) == {
        "work", "parked", "aside", "refused_too_early", "processes", "spools", "allowlist", "breakers", "feed", "held",
        "trouble",
    }  # fmt: skip
    assert set(status["processes"]) == {"receiver", "relay", "worker", "feed"}
    assert [(spool["rows"], spool["damaged_files"]) for spool in status["spools"]] == [(0, 0)]
    assert "callbacks" in readable
    assert (live.status_code, door.status_code, metrics.status_code) == (200, 200, 404)
    assert set(ready.json()["parts"]) == {"durable_write", "consumption", "allowlist"}


def test_a_second_up_on_the_folder_is_refused(up: Up) -> None:
    second = operate(("up", "--data", str(up.folder)), up.environment)

    assert second.returncode == 1
    assert "is in use by process" in second.stderr
    assert "Traceback" not in second.stderr


def test_up_stops_in_order_and_leaves_nothing() -> None:
    with open_folder() as folder, Simulator(seed="stop") as simulator:
        environment = {**bare_environment(), **simulator.environment(), "BIND": "127.0.0.1:0"}
        environment |= {"METRICS_BIND": "127.0.0.1:0", "WORKER_PROCESSES": "2", "LOG_FORMAT": "json"}
        with started(folder / "data", folder / "log", environment) as (process, _):
            children = descendants(process.pid)

            process.terminate()

            assert process.wait(40) == 0
            assert until(lambda: not [pid for pid in children if alive(pid)], seconds=10)
        stopped = re.findall(r'"process": "(\w+)".*"process.stopped"', (folder / "log").read_text())
    assert len(children) > 8
    assert stopped == ["receiver", "feed", "relay", "worker"]


def test_production_refuses_embedded_services(tmp_path: Path) -> None:
    environment = {**bare_environment(), "ENV": "production"}
    done = operate(("up", "--data", str(tmp_path)), environment)

    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr


def bare_environment() -> dict[str, str]:
    """Without URLs: these tests empty the broker and kill what they started."""
    given = inherited_environment()
    return {name: value for name, value in given.items() if name not in {"DATABASE_URL", "BROKER_URL"}}


def operate(arguments: tuple[str, ...], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [COMMAND, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def plant(execution: Execution) -> None:
    """Where Jumio has its own words, somebody's data by mistake: the reader keeps them, the logs must not."""
    assert execution.details is not None
    execution.details["capabilities"]["PLANTED-CAPABILITY-7435"] = [
        {"decision": {"type": "PLANTED-TYPE-7436", "details": {"label": "PLANTED-LABEL-7437"}}}
    ]
    execution.details["workflow"]["PLANTED-MEMBER-7438"] = "PLANTED-VALUE-7439"
    execution.steps["steps"].append({"name": "PLANTED-STEP-7440", "decision": {"type": "PLANTED-TYPE-7441"}})


def events_of(execution: Execution, count: int) -> str:
    """All its events, once there are that many and each is delivered."""
    where = f"workflow_key = '{execution.key}'"
    return (
        f"SELECT * FROM compliance.events WHERE {where} AND (SELECT count(*) FROM compliance.events"
        f" WHERE {where} AND delivered = 1 AND pending = 0 AND streamed_at IS NOT NULL) = {count} ORDER BY sequence"
    )


def client(source: str) -> httpx2.Client:
    return httpx2.Client(transport=httpx2.HTTPTransport(local_address=source), trust_env=False, timeout=10)


def pids(parent: int, name: str) -> list[int]:
    """Processes below `parent` that run this part of the line."""
    wanted = "celery" if name == "worker" else f"deploy\0{name}"
    return [pid for pid in descendants(parent) if wanted in command_of(pid) and "tether" not in command_of(pid)]


def descendants(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent_pid = int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent_pid == parent:
            found += [pid, *descendants(pid)]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
