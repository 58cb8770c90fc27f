"""A feed as it is served, in a process of its own, and writers that commit when a test says so."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from psycopg import Connection

from deploy.consumers import add
from schemas.events.data import DATA
from schemas.events.envelope import EventType
from schemas.events.examples import example
from schemas.settings import inherited_environment
from workers import store
from workers.emit import Outlet, emit

COMMAND = str(Path(sys.executable).with_name("jumio-pipeline"))
OUTLET = Outlet(source="/jumio-pipeline", destinations=())
Event = dict[str, Any]


@contextmanager
def serving(folder: Path, database_url: str) -> Iterator[str]:
    """A feed until the block ends; it must end as it is told to."""
    ready, log = folder / "feed.ready", folder / "feed.log"
    ready.unlink(missing_ok=True)
    environment = {**inherited_environment(), "DATABASE_URL": database_url}
    environment |= {"FEED_BIND": "127.0.0.1:0", "FEED_METRICS_BIND": "127.0.0.1:0"}
    command = [COMMAND, "feed", "--ready-file", str(ready)]
    with log.open("a") as output, subprocess.Popen(command, env=environment, stderr=output) as process:
        (folder / "feed.pid").write_text(str(process.pid))
        try:
            deadline = time.monotonic() + 20
            while not ready.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield f"http://{ready.read_text().split()[0]}"
        finally:
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()


@pytest.fixture(scope="module")
def feed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("feed")


@pytest.fixture(scope="module")
def feed_url(services: Any, feed_folder: Path) -> Iterator[str]:
    with serving(feed_folder, services.database_url) as url:
        yield url


@pytest.fixture
def waiting(feed_url: str, feed_folder: Path) -> Callable[[], int]:
    """How many questions wait there for an event, as its metrics say."""
    assert feed_url
    desk = f"http://{(feed_folder / 'feed.ready').read_text().split()[1]}"

    def count() -> int:
        metrics = httpx2.get(f"{desk}/metrics", trust_env=False).text
        [found] = re.findall(r"^jumio_feed_waiting (.+)$", metrics, re.MULTILINE)
        return int(float(found))

    return count


@dataclass
class Reader:
    """A consumer of the feed that keeps its place."""

    url: str
    token: str
    cursor: str = ""
    patience: float = 40.0

    def ask(self, **parameters: object) -> httpx2.Response:
        given = {"after": self.cursor, **parameters}
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx2.Client(trust_env=False, timeout=self.patience) as client:
            return client.get(
                f"{self.url}/events", params={name: str(value) for name, value in given.items()}, headers=headers
            )

    def read(self, **parameters: object) -> list[Event]:
        """The next page."""
        answer = self.ask(**parameters)
        assert answer.status_code == 200, answer.text
        self.cursor = answer.headers["feed-cursor"]
        return list(answer.json())

    def read_all(self, **parameters: object) -> list[Event]:
        """Until there is no more for now."""
        found: list[Event] = []
        while page := self.read(**parameters):
            found += page
        return found


@pytest.fixture
def reader(feed_url: str, conn: Connection) -> Reader:
    return Reader(feed_url, add(conn, "reader"))


Write = Callable[..., str]


def write_event(
    conn: Connection,
    event_type: EventType = "kyc.workflow.decided.v1",
    *,
    workflow_key: str | None = None,
    tenant: str = "default",
) -> str:
    """As the record step does, in whatever transaction is open: the event's workflow."""
    key = {"tenant": tenant, "family": "kyx", "workflow_key": workflow_key or str(uuid4())}
    store.change(conn, "workflows", "open_workflow", {**key, "account_id": None, "status": "PROCESSED"})
    store.rows(conn, "workflows", "lock_workflow", key)
    data = DATA[event_type].model_validate({**example(event_type)["data"], **key}).model_dump(mode="json")
    emit(conn, event_type, key=key, data=data, outlet=OUTLET)
    return key["workflow_key"]


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], Connection]]:
    """Further connections, autocommit, closed at the end."""
    opened: list[Connection] = []

    def new() -> Connection:
        opened.append(psycopg.connect(database_url, autocommit=True))
        return opened[-1]

    yield new
    for connection in opened:
        connection.close()


def subjects(events: list[Event]) -> list[str]:
    return [event["subject"] for event in events]


def bodies(conn: Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT body FROM pipeline.events ORDER BY position, sequence, id")]


def parsed(text: str) -> Event:
    return dict(json.loads(text))
