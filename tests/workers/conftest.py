"""Subscribers on real sockets, a workflow with events for them, and a relay with its broker."""

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
import redis
from psycopg import Connection

from schemas.settings import Settings
from schemas.sql.queries import query, work_query
from workers.relay import Relay


@dataclass
class Line:
    """A workflow with events, as the record step leaves them."""

    conn: Connection
    key: dict[str, str] = field(
        default_factory=lambda: {"tenant": "default", "family": "kyx", "workflow_key": str(uuid4())}
    )
    sequence: int = 0

    def __post_init__(self) -> None:
        self.conn.execute(
            "INSERT INTO pipeline.workflows (tenant, family, workflow_key, status) "
            "VALUES (%(tenant)s, %(family)s, %(workflow_key)s, 'PROCESSED')",
            self.key,
        )

    def emit(self, body: str, *, type_: str = "kyc.workflow.decided.v1", stream: bool = False) -> UUID:
        """Write an event with its deliveries."""
        self.sequence += 1
        event = {**self.key, "id": uuid4(), "sequence": self.sequence, "type": type_, "body": body}
        with self.conn.transaction():
            self.conn.execute(
                "INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body) "
                "VALUES (%(id)s, %(tenant)s, %(family)s, %(workflow_key)s, %(sequence)s, %(type)s, now(), %(body)s)",
                event,
            )
            wanted = {"event_id": event["id"], "destinations": ["stream"] if stream else []}
            self.conn.execute(query("deliveries", "insert_deliveries"), wanted)
        return UUID(str(event["id"]))

    def lease(self) -> list[UUID]:
        """What the relay would send now."""
        values = {"lease": 30, "batch": 100}
        return [row[0] for row in self.conn.execute(work_query("deliveries", "lease"), values)]

    def claim(self, delivery_id: UUID) -> int:
        """What the task does before it delivers."""
        values = {"id": delivery_id, "claim": 75}
        [(attempt, _counted)] = self.conn.execute(work_query("deliveries", "claim"), values).fetchall()
        return int(attempt)

    def ids(self, event_id: UUID) -> list[UUID]:
        """The deliveries of an event."""
        return [
            row[0] for row in self.conn.execute("SELECT id FROM pipeline.deliveries WHERE event_id = %s", [event_id])
        ]

    def row(self, delivery_id: UUID) -> tuple[str, int | None, str | None]:
        """State, last status and last error."""
        statement = "SELECT state, last_status, last_error FROM pipeline.deliveries WHERE id = %s"
        [(state, status, error)] = self.conn.execute(statement, [delivery_id]).fetchall()
        return state, status, error


@pytest.fixture
def line(conn: Connection) -> Line:
    return Line(conn)


@dataclass
class Received:
    """One request as a subscriber saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


class Subscriber(socketserver.ThreadingTCPServer):
    """Answers by the first word of the path; anything else is answered 200."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.sent = 0
        self.answer = 200
        self.tls = tls
        super().__init__(("127.0.0.1", 0), _Answers)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def url(self, path: str = "/hook") -> str:
        """An address of this subscriber, in the clear."""
        return f"http://127.0.0.1:{self.port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that hangs up is what many tests are about."""


class _Answers(socketserver.StreamRequestHandler):
    server: Subscriber

    def setup(self) -> None:
        self.server.connections += 1
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def handle(self) -> None:
        path = self.rfile.readline().split(b" ")[1].decode()
        lines = iter(self.rfile.readline, b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.decode().partition(":") for line in lines)}
        body = self.rfile.read(int(headers["content-length"]))
        self.server.requests.append(Received(path, headers, body))
        kind, *more = path.strip("/").split("/")
        getattr(self, f"answer_{kind}", self.answer_hook)(*more)

    def answer_hook(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def answer_status(self, status: str, header: str = "x-nothing", value: str = "") -> None:
        value = value.replace("%20", " ").replace("~", "/")
        self.wfile.write(f"HTTP/1.1 {status} Word\r\n{header}: {value}\r\ncontent-length: 0\r\n\r\n".encode())

    def answer_switch(self) -> None:
        """As the test says now."""
        self.answer_status(str(self.server.answer))

    def answer_hangup(self) -> None:
        """Nothing at all."""

    def answer_garbage(self) -> None:
        self.wfile.write(b"220 smtp.example ready\r\n")

    def answer_drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nx-drip: ")
        for _ in range(600):
            self.wfile.write(b"a")
            time.sleep(0.05)

    def answer_hints(self) -> None:
        for _ in range(600):
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            time.sleep(0.05)

    def answer_slowbody(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(600):
            self.wfile.write(b"a")
            time.sleep(0.05)

    def answer_huge(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
        for _ in range(16_384):
            self.wfile.write(b"\0" * 65_536)
            self.server.sent += 65_536


@contextmanager
def running_subscriber(tls: ssl.SSLContext | None = None) -> Iterator[Subscriber]:
    """On a port of its own, until the end."""
    with Subscriber(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def open_subscriber() -> Iterator[Callable[..., Subscriber]]:
    with ExitStack() as stack:
        yield lambda tls=None: stack.enter_context(running_subscriber(tls))


@pytest.fixture
def subscriber(open_subscriber: Callable[[], Subscriber]) -> Subscriber:
    return open_subscriber()


@pytest.fixture
def silent() -> Iterator[str]:
    """A subscriber that takes connections and never reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"


@pytest.fixture
def settings(database_url: str, broker_url: str) -> Settings:
    return Settings.load("relay", {"DATABASE_URL": database_url, "BROKER_URL": broker_url})


@pytest.fixture
def valkey(broker_url: str) -> Iterator["redis.Redis"]:
    """The broker itself, empty before and after."""
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
        yield client
        client.config_set("maxmemory", 0)
        client.flushall()


@pytest.fixture
def relay(settings: Settings, valkey: "redis.Redis") -> Relay:
    return Relay(settings)
