"""The application under another server than ours: no peer, no uvicorn, plain ASGI."""

import asyncio
from typing import Any, Self

import httpx2
import psycopg
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from receiver import flights
from receiver.app import build_app
from receiver.metrics import Metrics
from schemas.settings import Settings


class Hosted:
    """A server's part: the lifespan, a state for each request, and a peer as some servers give it."""

    def __init__(self, app: ASGIApp, client: tuple[str, Any] | None) -> None:
        self.app, self.client = app, client
        self.state: dict[str, Any] = {}
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        self._lifespan = asyncio.create_task(self.app(scope, self._to_app.get, self._from_app.put))  # type: ignore[arg-type]
        await self._to_app.put({"type": "lifespan.startup"})
        assert (await self._from_app.get())["type"] == "lifespan.startup.complete"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._to_app.put({"type": "lifespan.shutdown"})
        assert (await self._from_app.get())["type"] == "lifespan.shutdown.complete"
        await self._lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "client": self.client, "state": dict(self.state)}, receive, send)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "PACE_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("client", "status", "state"),
    [
        (("127.0.0.11", "4711"), 200, "stored"),
        (("::ffff:127.0.0.11", 4711), 200, "stored"),
        (("127.0.0.66", 1), 403, "refused"),
        (("/run/receiver.sock", None), 403, "refused"),
        (None, 403, "refused"),
    ],
)
def test_any_asgi_server_will_do(
    environment: dict[str, str], client: tuple[str, Any] | None, status: int, state: str
) -> None:
    async def test() -> None:
        settings = Settings.load("receiver", environment)
        async with (
            Hosted(build_app(settings, Metrics()), client) as hosted,
            httpx2.AsyncClient(transport=httpx2.ASGITransport(hosted), base_url="http://receiver.test") as http,
        ):
            answer = await http.post("/callbacks/default", content=b"{}")
            assert (answer.status_code, answer.content) == (status, b"")
            assert (await http.get("/livez")).status_code == 200

    asyncio.run(test())

    with psycopg.connect(environment["DATABASE_URL"]) as conn:
        assert conn.execute("SELECT state FROM pipeline.callbacks").fetchall() == [(state,)]


def test_an_unexpected_error_is_503_and_a_websocket_is_closed(environment: dict[str, str]) -> None:
    async def test() -> None:
        settings = Settings.load("receiver", environment)
        async with Hosted(build_app(settings, Metrics()), ("127.0.0.11", 1)) as hosted:
            sent: list[Message] = []

            async def send(message: Message) -> None:
                sent.append(message)

            async def receive() -> Message:
                raise RuntimeError("CANARY")

            scope = {"path": "/callbacks/default", "raw_path": None, "query_string": b"", "headers": [(b"host", b"a")]}
            http = {"type": "http", "method": "POST", "http_version": "1.1", **scope}
            await hosted(http, receive, send)
            await hosted({"type": "websocket", **scope}, receive, send)

        assert [message.get("status", message.get("code")) for message in sent] == [503, None, 1008]

    asyncio.run(test())
