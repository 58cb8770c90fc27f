"""The steps of the line by hand: a simulated Jumio, what a worker holds, and a callback as the receiver keeps it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from deploy.simulator.run import Simulator
from schemas.sealing import KeyRing
from schemas.settings import Settings
from schemas.sql.queries import WAITING, WorkTable, query, work_query
from tests.events import validate_event
from workers import tools as worker_tools
from workers.deliver import deliver
from workers.fetch import fetch
from workers.forget import forget
from workers.images import give_up, store_image
from workers.tools import Tools
from workers.work import Work


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(seed="line") as running:
        yield running


@pytest.fixture
def ring() -> str:
    """The text of ENCRYPTION_KEYS, for commands that read the same rows."""
    return KeyRing.generate()


@pytest.fixture
def settings(simulator: Simulator, database_url: str, broker_url: str, ring: str) -> Settings:
    return Settings.load(
        "worker",
        {
            **simulator.environment(),
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "ENCRYPTION_KEYS": ring,
            "JUMIO_RETRY_SECONDS": "0,0,0,0",
            "JUMIO_RETRIEVAL_RATE": "1000/s",
            "DELIVERY_RETRY_SECONDS": "0,0",
            "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
        },
    )


@pytest.fixture
def tools(settings: Settings) -> Iterator[Tools]:
    yield worker_tools.open_tools(settings)
    worker_tools.close_tools()


@dataclass(frozen=True)
class Hand:
    """Does by hand what relay and worker do: one row at a time, as often and in the order that a test likes."""

    conn: Connection
    tools: Tools
    # The relay's, where roles matter.
    relay: Connection | None = None

    def receive(self, body: bytes, *, keys: KeyRing | None = None) -> UUID:
        """Keep a callback as the receiver does; one with another ring than ours, if it is said."""
        callback_id = uuid7()
        keys = keys or self.tools.settings.keys
        row = {
            "id": callback_id,
            "tenant": "default",
            "received_at": datetime.now(UTC),
            "peer": "127.0.0.11",
            "client_address": "127.0.0.11",
            "source_evidence": Jsonb({"rule": "dns"}),
            "bytes": len(body),
            "sha256": hashlib.sha256(body).digest(),
            "sealed_body": keys.seal(body, place=f"callbacks.body/{callback_id}"),
            "sealed_head": keys.seal(b"{}", place=f"callbacks.head/{callback_id}"),
            "state": "stored",
            "last_error": None,
        }
        self.conn.execute(query("callbacks", "insert_callbacks"), {name: [value] for name, value in row.items()})
        return callback_id

    def work(self, table: WorkTable, row_id: UUID) -> Work:
        """One row's turn, as its task takes it."""
        outlet = self.tools.outlet

        def step(conn: Connection, attempt: int) -> None:
            if table == "callbacks":
                fetch(conn, row_id, attempt=attempt, tools=self.tools)
            elif table == "images":
                store_image(conn, row_id, attempt=attempt, tools=self.tools)
            elif table == "deletions":
                forget(conn, row_id, attempt=attempt, tools=self.tools)
            else:
                deliver(conn, row_id, attempt=attempt, destinations=self.tools.destinations)

        def park(conn: Connection, attempt: int, error: str) -> None:
            give_up(conn, row_id, attempt=attempt, error=error, outlet=outlet)

        schedule = self.tools.settings.jumio_retry_seconds
        return Work(table, row_id, schedule, step, park if table == "images" else None)

    def due(self, table: WorkTable) -> list[UUID]:
        """What the relay would lease now."""
        relay = self.relay or self.conn
        return [row[0] for row in relay.execute(work_query(table, "lease"), {"lease": 0, "batch": 1000})]

    def run_until_idle(self, shuffle: Callable[[list[tuple[WorkTable, UUID]]], None] = lambda _: None) -> None:
        """Every due row, in any order, until nothing is due."""
        while due := [(table, row_id) for table in WAITING for row_id in self.due(table)]:
            shuffle(due)
            for table, row_id in due:
                self.work(table, row_id).run(self.conn)


@pytest.fixture
def hand(conn: Connection, tools: Tools) -> Iterator[Hand]:
    """Whatever a test did, what it emitted must be in the catalogue."""
    yield Hand(conn, tools)
    for (body,) in conn.execute("SELECT body FROM pipeline.events").fetchall():
        validate_event(json.loads(body))
