"""Posts callbacks as Jumio's servers do: from their addresses, once, whatever the answer."""

import socket
import ssl
import time
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2
import structlog

log = structlog.get_logger()

# Jumio's is not documented; longer than any receiver should need.
ANSWER_SECONDS = 10.0
# Shorter than servers keep idle connections, so that no callback is lost on one that is just closing.
KEEPALIVE_SECONDS = 1.0
PORT_WAIT = 0.1
# Jumio's is not documented.
USER_AGENT = "Jumio Callback"


@dataclass(frozen=True)
class Post:
    """One callback to send, some seconds after the one before it. `forged`: from an address that is not Jumio's."""

    key: str
    status: str
    body: bytes
    media_type: str
    source: str
    sent_at: datetime
    after: float = 0.0
    forged: bool = False


@dataclass(frozen=True)
class Sent:
    """`answer` is the HTTP status, None where there was none and `error` says why. `at` is monotonic."""

    post: Post
    at: float
    seconds: float
    answer: int | None
    error: str | None = None

    @property
    def kept(self) -> bool:
        return self.answer == 200  # noqa: PLR2004 -- the only answer that Jumio takes for "kept"


class Caller:
    """No redelivery: Jumio documents none. Every post is recorded."""

    def __init__(self, callback_url: str) -> None:
        self._url = callback_url
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._tls = ssl.create_default_context()
        self.sent: list[Sent] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def post(self, post: Post) -> Sent:
        started = time.monotonic()
        answer, error = None, None
        headers = {"content-type": post.media_type, "user-agent": USER_AGENT}
        try:
            response = await self._client(post.source).post(self._url, content=post.body, headers=headers)
            answer = response.status_code
        except (httpx2.HTTPError, OSError) as problem:
            error = type(problem).__name__
        sent = Sent(post, started, time.monotonic() - started, answer, error)
        self.sent.append(sent)
        log.info(
            "simulator.callback.posted",
            key=post.key,
            status=post.status,
            source=post.source,
            answer=answer,
            error=error,
        )
        return sent

    def _client(self, source: str) -> httpx2.AsyncClient:
        if source not in self._clients:
            limits = httpx2.Limits(keepalive_expiry=KEEPALIVE_SECONDS)
            transport = httpx2.AsyncHTTPTransport(
                verify=self._tls, local_address=source, limits=limits, trust_env=False
            )
            self._clients[source] = httpx2.AsyncClient(transport=transport, timeout=ANSWER_SECONDS, trust_env=False)
        return self._clients[source]


def wait_for(url: str, seconds: float) -> None:
    """A callback that is posted before the receiver listens would be lost for good."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=1.0).close()
        except OSError:
            time.sleep(PORT_WAIT)
        else:
            return
