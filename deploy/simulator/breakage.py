"""How a struck request is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from deploy.simulator.faults import Faults

# KYX guide and recorded answers; the bodies are those of the samples.
PROBLEMS = {
    400: ("Bad Request", "Bad request"),
    401: ("Unauthorized", "The provided credentials are invalid"),
    403: ("Forbidden", "Access denied"),
    404: ("Not Found", "Workflow execution not found"),
    429: ("Too Many Requests", "Request limit exceeded"),
    500: ("Internal Server Error", "Unexpected error"),
    503: ("Service Unavailable", "Try again later"),
}
BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\n"
)
# In the ASGI scope's extensions: closes the connection under the response.
HANG_UP = "simulator.hang_up"


def problem(status: int, **headers: str) -> Response:
    title, detail = PROBLEMS[status]
    return JSONResponse({"title": title, "status": status, "detail": detail}, status, headers)


def busy(faults: Faults, resource: str) -> Response:
    """Whether Jumio sends Retry-After is not documented, so both happen."""
    return problem(429, **({"retry-after": "1"} if faults.variant("429", resource, 2) else {}))


def broken(faults: Faults, resource: str) -> Response:
    status = (500, 502, 503)[faults.variant("5xx", resource, 3)]
    return HTMLResponse(BAD_GATEWAY, 502) if status == 502 else problem(status)  # noqa: PLR2004 -- a status, well known


async def spoil(faults: Faults, fault: str | None, resource: str, response: Response) -> Response:
    """The faults that any read can suffer."""
    answers: dict[str | None, Callable[[], Response]] = {
        "429": lambda: busy(faults, resource),
        "5xx": lambda: broken(faults, resource),
    }
    if fault == "slow":
        return await slow(faults, resource, response)
    return answers[fault]() if fault in answers else response


async def spoil_image(
    faults: Faults, fault: str | None, resource: str, response: Response, *, absent: Response
) -> Response:
    """Those of images, and those of any read. `absent` says in the words of the family that there is none."""
    if fault == "missing_image":
        return absent
    if fault == "not_an_image":
        return HTMLResponse(BAD_GATEWAY)
    if fault == "truncated_image":
        return Truncated(bytes(response.body), media_type=response.media_type)
    return await spoil(faults, fault, resource, response)


async def slow(faults: Faults, resource: str, response: Response) -> Response:
    if faults.variant("slow", resource, 2):
        return _dripping(faults, response)
    await asyncio.sleep(faults.slow_seconds)
    return response


def _dripping(faults: Faults, response: Response) -> Response:
    async def drip() -> AsyncIterator[bytes]:
        body = bytes(response.body)
        singly = min(faults.drip_bytes, len(body))
        for place in range(singly):
            yield body[place : place + 1]
            await asyncio.sleep(faults.slow_seconds / max(singly, 1))
        yield body[singly:]

    return StreamingResponse(drip(), response.status_code, dict(response.headers))


class Truncated(Response):
    """Promises all of the body, sends half, and hangs up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        hang_up: Any = scope["extensions"][HANG_UP]
        hang_up()
        while (await receive())["type"] != "http.disconnect":
            pass
