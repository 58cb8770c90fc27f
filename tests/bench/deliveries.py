"""`python -m tests.bench.deliveries`: events to ten subscribers, against a bare loop, and beside one that is dead."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path
from uuid import uuid4

import click
import httpcore2
import psycopg
from psycopg import Connection
from rich.console import Console
from rich.markdown import Markdown

from deploy import subscriptions
from deploy.embedded.services import ServiceUrls, embedded_services
from deploy.migrate import migrate
from deploy.processes import Processes
from schemas.events.envelope import CONTENT_TYPE
from schemas.events.signing import new_secret, sign
from schemas.sealing import KeyRing
from schemas.settings import inherited_environment
from schemas.sql.queries import query
from tests.bench.machine import machine

RESULTS = Path("deploy/benchmarks/deliveries.md")
SUBSCRIBERS = 10
# What an event of ours weighs, thin as it is.
BODY = json.dumps({"specversion": "1.0", "type": "kyc.workflow.decided.v1", "data": {"checks": ["x" * 60] * 14}})
_WARM_UP = 20
_PATIENCE = 300.0
_USER_AGENT = f"jumio-pipeline/{version('jumio-pipeline')}"
# Nine others beside a dead one: how much longer their p99 may be.
_GOAL = 1.1


@dataclass
class Run:
    """When what was committed, and arrived where."""

    committed: dict[str, float] = field(default_factory=dict)
    arrived: Mapping[str, float] = field(default_factory=dict)

    def milliseconds(self) -> list[float]:
        """From commit to arrival, of everything that was measured and arrived."""
        return sorted(
            (at - self.committed[key.partition("/")[2]]) * 1000
            for key, at in self.arrived.items()
            if key.partition("/")[2] in self.committed
        )

    def percentile(self, share: float) -> float:
        found = self.milliseconds()
        return found[min(int(len(found) * share), len(found) - 1)]

    def rate(self) -> float:
        """Deliveries a second, from the first commit to the last arrival."""
        return len(self.milliseconds()) / (max(self.arrived.values()) - min(self.committed.values()))


@dataclass(frozen=True)
class Bench:
    """Services that run, and what the processes need to know of them."""

    urls: ServiceUrls
    folder: Path
    environment: Mapping[str, str]
    keys: KeyRing


@click.command()
@click.option("--events", default=400, show_default=True, help="Of the burst; ten deliveries each.")
@click.option("--seconds", default=40, show_default=True, help="Of the steady runs.")
@click.option("--rate", default=6.0, show_default=True, help="Events a second of the steady runs.")
@click.option("--write/--no-write", "writes", default=True, help="Write deploy/benchmarks/deliveries.md.")
def main(*, events: int, seconds: int, rate: float, writes: bool) -> None:
    """Measure; ends with 1 where an event did not arrive, or where a dead subscriber slows the others by too much."""
    with bench() as running:
        bare = bare_rate(running, requests=events * 2)
        burst = measure(running, events=events, every=0.0, dead=0)
        steady = measure(running, events=int(seconds * rate), every=1 / rate, dead=0)
        beside_dead = measure(running, events=int(seconds * rate), every=1 / rate, dead=1)
        with psycopg.connect(running.urls.database_url) as conn:
            [(postgres,)] = conn.execute("SHOW server_version").fetchall()
    where = {**machine(), "Postgres": postgres}
    where["command"] = f"python -m tests.bench.deliveries --events {events} --seconds {seconds} --rate {rate:g}"
    text = report(where, bare=bare, burst=burst, steady=steady, beside_dead=beside_dead, rate=rate)
    Console(width=None if sys.stdout.isatty() else 140).print(Markdown(text))
    if writes:
        RESULTS.write_text(text, encoding="utf-8")
    if slowed(beside_dead, steady) > _GOAL:
        raise SystemExit("a dead subscriber slows the others by too much")


@contextmanager
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="jumio-pipeline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with embedded_services(folder, environment="development", database=True, broker=True) as urls:
            with psycopg.connect(urls.database_url, autocommit=True) as conn:
                migrate(conn)
            ring = KeyRing.generate()
            environment = {
                **inherited_environment(),
                "DATABASE_URL": urls.database_url,
                "BROKER_URL": urls.broker_url,
                "ENCRYPTION_KEYS": ring,
                "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
                "EVENT_STREAM": "",
                "JUMIO_CLIENT_ID": "nobody",
                "JUMIO_CLIENT_SECRET": "nothing",
                "JUMIO_USER_AGENT": "Bench/1.0",
                "LOG_FORMAT": "json",
            }
            yield Bench(urls, folder, environment, KeyRing.parse(ring))


def measure(running: Bench, *, events: int, every: float, dead: int) -> Run:
    """Ten subscribers, a relay and a worker of our own; warm, then what counts."""
    run, file = Run(), running.folder / f"{uuid4().hex}.json"
    with (
        psycopg.connect(running.urls.database_url, autocommit=True) as conn,
        subscribers(file, dead=dead) as ports,
        Processes(running.environment) as processes,
    ):
        for port in ports:
            url = f"http://127.0.0.1:{port}/"
            subscriptions.add(conn, url, keys=running.keys, private=(ip_network("127.0.0.0/8"),))
        for role in ("worker", "relay"):
            command = (sys.executable, "-m", "deploy", role)
            processes.start(role, *command, output=running.folder / f"{role}.log")
        for _ in range(_WARM_UP):
            emit(conn)
        wait_until_delivered(conn, dead)
        started = time.monotonic()
        for number in range(events):
            time.sleep(max(started + number * every - time.monotonic(), 0))
            event_id = emit(conn)
            run.committed[event_id] = time.time()
        wait_until_delivered(conn, dead)
        for table in ("deliveries", "subscriptions", "events", "workflows"):
            if table == "deliveries":
                processes.stop()
            conn.execute(f"DELETE FROM pipeline.{table}".encode())
    run.arrived = json.loads(file.read_text(encoding="utf-8"))
    if len(run.milliseconds()) != events * (SUBSCRIBERS - dead):
        raise SystemExit(f"{events * (SUBSCRIBERS - dead) - len(run.milliseconds())} deliveries did not arrive")
    return run


@contextmanager
def subscribers(file: Path, *, dead: int) -> Iterator[Sequence[int]]:
    command = [sys.executable, "-m", "tests.bench.subscribers", str(SUBSCRIBERS), str(dead), str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield [int(port) for port in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait()


def emit(conn: Connection) -> str:
    """One event of a workflow of its own, as the record step leaves it."""
    event_id, key = str(uuid4()), str(uuid4())
    with conn.transaction():
        conn.execute(
            "INSERT INTO pipeline.workflows (tenant, family, workflow_key, status)"
            " VALUES ('default', 'kyx', %s, 'PROCESSED')",
            [key],
        )
        conn.execute(
            "INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body)"
            " VALUES (%s, 'default', 'kyx', %s, 1, 'kyc.workflow.decided.v1', now(), %s)",
            [event_id, key, BODY],
        )
        conn.execute(query("deliveries", "insert_deliveries"), {"event_id": event_id, "destinations": []})
        conn.execute(query("callbacks", "wake_relay"))
    return event_id


def wait_until_delivered(conn: Connection, dead: int) -> None:
    """To all but the dead, which were subscribed first."""
    deadline = time.monotonic() + _PATIENCE
    statement = (
        "SELECT count(*) FROM pipeline.deliveries WHERE state = 'pending' AND subscription_id NOT IN"
        " (SELECT id FROM pipeline.subscriptions ORDER BY id LIMIT %s)"
    )
    while conn.execute(statement, [dead]).fetchall() != [(0,)]:
        if time.monotonic() > deadline:
            raise SystemExit("it takes too long; something does not run")
        time.sleep(0.05)


def bare_rate(running: Bench, *, requests: int) -> float:
    """The same client, the same bytes, one after the other, to one subscriber that is well: a second's worth."""
    secret, started = new_secret(), 0.0
    with subscribers(running.folder / "bare.json", dead=0) as ports:
        url = httpcore2.URL(f"http://127.0.0.1:{ports[0]}/")
        for number in range(requests + _WARM_UP):
            if number == _WARM_UP:
                started = time.monotonic()
            event_id, now = str(uuid4()), int(time.time())
            headers = {
                "host": f"127.0.0.1:{ports[0]}",
                "user-agent": _USER_AGENT,
                "accept-encoding": "identity",
                "connection": "close",
                "content-type": CONTENT_TYPE,
                "webhook-id": event_id,
                "webhook-timestamp": str(now),
                "webhook-signature": sign(secret, event_id, now, BODY.encode()),
            }
            with httpcore2.HTTPConnection(url.origin) as connection:
                connection.request("POST", url, headers=headers, content=BODY.encode())
        return requests / (time.monotonic() - started)


def slowed(beside_dead: Run, steady: Run) -> float:
    """The p99 of the others, to what it is where none is dead."""
    return beside_dead.percentile(0.99) / steady.percentile(0.99)


def report(where: Mapping[str, str], *, bare: float, burst: Run, steady: Run, beside_dead: Run, rate: float) -> str:
    """For people."""
    lines = ["# Deliveries", "", *(f"- {name}: {value}" for name, value in where.items()), ""]
    lines += [
        f"Events of {len(BODY)} bytes to {SUBSCRIBERS} local subscribers, one relay, one worker of 4 processes, from",
        "the commit of an event to its arrival. Every delivery that was committed has arrived.",
        "",
        "| | deliveries | deliveries/s | p50 ms | p99 ms |",
        "|---|---|---|---|---|",
        f"| a bare loop of the same HTTP client, the same bytes | | {bare:,.0f} | | |",
    ]
    for title, run in (
        ("all at once", burst),
        (f"{rate:g} events a second, ten well", steady),
        (f"{rate:g} events a second, nine well, one that never answers: the nine", beside_dead),
    ):
        figures = f"{run.rate():,.0f} | {run.percentile(0.5):.1f} | {run.percentile(0.99):.1f}"
        lines.append(f"| {title} | {len(run.milliseconds()):,} | {figures} |")
    p99 = slowed(beside_dead, steady)
    p50 = statistics.median(beside_dead.milliseconds()) / statistics.median(steady.milliseconds())
    met = "met" if p99 <= _GOAL else "missed"
    lines += [
        "",
        "| target | measured | goal | |",
        "|---|---|---|---|",
        f"| all at once, to the bare loop | {burst.rate() / bare:.2f} | | |",
        f"| p99 beside a dead one, to p99 of ten well | {p99:.2f} | at most {_GOAL:g} | {met} |",
        f"| p50, the same | {p50:.2f} | | |",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
