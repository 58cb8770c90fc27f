"""Order for each workflow and subscriber, while real relays and workers are killed, slowed, refused and asked twice."""

import json
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from deploy import subscriptions
from deploy.processes import Processes
from schemas.sealing import KeyRing
from schemas.settings import Settings, inherited_environment
from tests.crash_proof.pids import children, signal_all
from tests.workers.conftest import Line
from workers.broker import QUEUES, TASKS, build_app

WORKFLOWS, EVENTS, SUBSCRIBERS = 16, 4, 3
# One in this many is refused: felt, and never five in a row, which would pause the subscriber for a minute.
REFUSED = 4
HANGS = 2
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills by what /proc says")


@dataclass
class Witness:
    """One subscriber: what arrived, in which order, and what it answered."""

    url: str = ""
    calls: int = 0
    hung: int = 0
    refused: int = 0
    arrived: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    taken: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self, workflow: str, sequence: int) -> str:
        """Judge the order, then say what to do with it."""
        with self.lock:
            self.calls += 1
            before = self.arrived[workflow]
            if before and sequence < before[-1]:
                self.wrong.append(f"{sequence} after {before[-1]}")
            if any(earlier not in self.taken[workflow] for earlier in range(1, sequence)):
                self.wrong.append(f"{sequence} before one of its predecessors was taken")
            before.append(sequence)
            if self.hung < HANGS and self.calls > 10:
                self.hung += 1
                return "hang"
            if self.calls % REFUSED == 0:
                self.refused += 1
                return "refuse"
            self.taken[workflow].add(sequence)
            return "take"

    def everything(self) -> bool:
        with self.lock:
            return sum(len(taken) for taken in self.taken.values()) == WORKFLOWS * EVENTS


@contextmanager
def running_witness(ended: threading.Event) -> Iterator[Witness]:
    witness = Witness()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            what = witness.arrive(event["subject"], event["sequence"])
            if what == "hang":
                ended.wait(PATIENCE)
                return
            # Long enough that a kill finds some of them under way.
            time.sleep(0.01)
            self.send_response(500 if what == "refuse" else 204)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        witness.url = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield witness
        finally:
            ended.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def environment(database_url: str, broker_url: str) -> dict[str, str]:
    return {
        **inherited_environment(),
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "ENCRYPTION_KEYS": KeyRing.generate(),
        "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
        "DELIVERY_RETRY_SECONDS": ",".join(["0.2"] * 40),
        "JUMIO_CLIENT_ID": "nobody",
        "JUMIO_CLIENT_SECRET": "nothing",
        "JUMIO_USER_AGENT": "Order Test/1.0",
        "WORKER_PROCESSES": "2",
        "LOG_FORMAT": "json",
    }


def test_order_holds_whatever_happens(environment: dict[str, str], conn: Connection, tmp_path: Path) -> None:
    ended = threading.Event()
    settings = Settings.load("worker", environment)
    with ExitStack() as stack:
        witnesses = [stack.enter_context(running_witness(ended)) for _ in range(SUBSCRIBERS)]
        for witness in witnesses:
            subscriptions.add(conn, witness.url, keys=settings.keys, private=settings.subscriber_private_cidrs)
        processes = stack.enter_context(Processes(environment))
        for number in range(2):
            for role in ("worker", "relay"):
                command = (sys.executable, "-m", "deploy", role)
                processes.start(f"{role}-{number}", *command, output=tmp_path / f"{role}-{number}.log")
        emitter = threading.Thread(target=emit_all, args=[environment["DATABASE_URL"]])
        emitter.start()

        duplicates = stir(processes, settings, conn, witnesses)
        kill_workers(processes, conn)
        duplicates += stir(processes, settings, conn, witnesses, until_done=True)
        emitter.join()
        ended.set()

    assert [witness.wrong for witness in witnesses] == [[]] * SUBSCRIBERS
    assert all(witness.everything() for witness in witnesses), [witness.calls for witness in witnesses]
    # The faults were felt.
    assert all(witness.refused > 10 and witness.hung == HANGS for witness in witnesses)
    assert duplicates > 20
    print(summary(witnesses, duplicates))  # noqa: T201 - shown with -s


def emit_all(database_url: str) -> None:
    """Events of all workflows, one of each in turn, as fast as they are written."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        lines = [Line(conn) for _ in range(WORKFLOWS)]
        for sequence in range(1, EVENTS + 1):
            for line in lines:
                line.emit(json.dumps({"subject": line.key["workflow_key"], "sequence": sequence}))


def stir(
    processes: Processes,
    settings: Settings,
    conn: Connection,
    witnesses: list[Witness],
    *,
    until_done: bool = False,
) -> int:
    """Tasks that nobody should have sent, for any row at any time: how many, until half or all of it is taken."""
    app, sent, deadline = build_app(settings), 0, time.monotonic() + PATIENCE
    half = WORKFLOWS * EVENTS // 2
    while time.monotonic() < deadline:
        processes.check()
        if until_done and all(witness.everything() for witness in witnesses):
            break
        if not until_done and min(sum(map(len, witness.taken.values())) for witness in witnesses) > half:
            break
        found = conn.execute("SELECT id FROM pipeline.deliveries WHERE state = 'pending' ORDER BY random() LIMIT 3")
        for (row_id,) in found.fetchall():
            app.send_task(TASKS["deliveries"], args=[str(row_id)], queue=QUEUES["deliveries"])
            sent += 1
        time.sleep(0.1)
    app.close()
    return sent


def kill_workers(processes: Processes, conn: Connection) -> None:
    """All of them with -9, in the middle of it; then the time passes that leases and claims last."""
    for name, pid in processes.pids().items():
        if name.startswith("worker"):
            signal_all([pid, *children(pid)], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(name.startswith("worker") for name in processes.pids()) and time.monotonic() < deadline:
        time.sleep(0.02)
    held = conn.execute(
        "UPDATE pipeline.deliveries SET claimed_until = least(claimed_until, now()), leased_until = NULL"
        " WHERE state = 'pending' AND (claimed_until > now() OR leased_until > now())"
        " RETURNING attempts"
    )
    assert any(attempts for (attempts,) in held.fetchall())


def summary(witnesses: list[Witness], duplicates: int) -> dict[str, Any]:
    repeats = sum(len(seen) - len(set(seen)) for witness in witnesses for seen in witness.arrived.values())
    return {
        "subscribers": SUBSCRIBERS,
        "deliveries": SUBSCRIBERS * WORKFLOWS * EVENTS,
        "requests": sum(witness.calls for witness in witnesses),
        "refused with 500": sum(witness.refused for witness in witnesses),
        "hung past the deadline": sum(witness.hung for witness in witnesses),
        "sent more than once": repeats,
        "forged or repeated tasks": duplicates,
        "out of order": sum(len(witness.wrong) for witness in witnesses),
    }
