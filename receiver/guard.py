"""Requests that are none, or meant to confuse, end here; everything else passes untouched. Pure ASGI, outermost."""

from itertools import chain

from starlette.types import ASGIApp, Receive, Scope, Send

from receiver.answers import HEAD_TOO_LARGE, PATH_TOO_LONG, UNREADABLE, Answer
from receiver.metrics import Counts

# Jumio sends about ten headers, proxies add as many; httptools itself would take 10,000 and a megabyte.
MOST_HEADERS, MOST_HEADER_BYTES = 64, 16_384
# Jumio allows a callback URL 255 characters.
MOST_PATH_BYTES = 2048
_VERSIONS = frozenset({"1.0", "1.1", "2", "3"})


class Guard:
    """Wraps an application; the server stays free to be another."""

    def __init__(self, app: ASGIApp, metrics: Counts) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Before it is accepted, a close is a 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http" and (answer := objection(scope)):
            self._metrics.turned_away.labels(str(answer.status)).inc()
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


def objection(scope: Scope) -> Answer | None:
    """What is wrong with the request's head, if anything."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    names = [name for name, _ in headers]
    if len(headers) > MOST_HEADERS or len(b"".join(chain(*headers))) > MOST_HEADER_BYTES:
        return HEAD_TOO_LARGE
    if names.count(b"host") != 1 or scope["http_version"] not in _VERSIONS:
        return UNREADABLE
    # Where both say how long the body is, a proxy in front may have believed the other one.
    if b"transfer-encoding" in names and b"content-length" in names:
        return UNREADABLE
    if len(scope.get("raw_path") or scope["path"].encode()) > MOST_PATH_BYTES:
        return PATH_TOO_LONG
    return None
