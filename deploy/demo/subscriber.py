"""A subscriber for the demo: takes events, and believes them only after the official library has."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Received:
    """One delivery: the event, whether its signature holds, and when it arrived."""

    event: dict[str, Any]
    verified: bool
    at: datetime


@dataclass
class Subscriber:
    """Answers 503 to the first delivery of every seventh event, so that retries are shown too."""

    url: str
    secret: str = ""
    received: list[Received] = field(default_factory=list)
    turned_away: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """The answer to one delivery."""
        at = datetime.now(UTC)
        event = json.loads(body)
        with self.lock:
            if self._turns_away(event["id"]):
                return 503
            self.received.append(Received(event, self._verifies(body, headers), at))
        return 204

    def _turns_away(self, event_id: str) -> bool:
        first = event_id not in self.seen
        self.seen.add(event_id)
        if first and len(self.seen) % 7 == 0:
            self.turned_away.add(event_id)
            return True
        return False

    def _verifies(self, body: bytes, headers: dict[str, str]) -> bool:
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True


@contextmanager
def running_subscriber() -> Iterator[Subscriber]:
    """Listens on a free loopback port."""
    subscriber = Subscriber("")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing: the demo shows tables."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(subscriber.take(body, {name.lower(): value for name, value in self.headers.items()}))
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        subscriber.url = f"http://127.0.0.1:{server.server_address[1]}/events"
        thread = threading.Thread(target=server.serve_forever, name="subscriber")
        thread.start()
        try:
            yield subscriber
        finally:
            server.shutdown()
            thread.join()
