"""Every answer there is: constant, empty, made once."""

import secrets

from starlette.types import Receive, Scope, Send

_CLOSE = (b"connection", b"close")


class Answer:
    """An ASGI application that says one status and nothing else."""

    def __init__(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        self._start = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", b"0"), *headers],
        }

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send({"type": "http.response.body", "body": b""})


KEPT = Answer(200)
UNREADABLE = Answer(400, _CLOSE)
REFUSED = Answer(403, _CLOSE)
# The same for a tenant that is not there and for a secret that is wrong.
NOT_FOUND = Answer(404, _CLOSE)
TOO_SLOW = Answer(408, _CLOSE)
TOO_LARGE = Answer(413, _CLOSE)
PATH_TOO_LONG = Answer(414, _CLOSE)
HEAD_TOO_LARGE = Answer(431, _CLOSE)
# Spread, so that those who heard it do not come back together.
_NOT_KEPT = tuple(Answer(503, (b"retry-after", str(seconds).encode())) for seconds in (2, 3, 4, 5))


def not_kept() -> Answer:
    """503 with a Retry-After of a few seconds."""
    return secrets.choice(_NOT_KEPT)
