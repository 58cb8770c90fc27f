"""POST /events: verify, keep, then say so. What comes twice is taken once, what comes too early waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.consumer.feed import CatchUp
from deploy.consumer.inbox import Inbox
from deploy.consumer.verify import ForgedError, verify

# An enriched event has some kilobytes.
MOST_BYTES = 1_048_576

ABOUT_WORKFLOWS = ("kyc.workflow.", "kyc.subject.")


def build_app(inbox: Inbox, catch_up: CatchUp, secrets: Sequence[str]) -> Starlette:
    """Two routes, and the catching up beside them."""
    forged = 0

    async def deliver(request: Request) -> Response:
        nonlocal forged
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        try:
            verify(body, request.headers, secrets)
        except ForgedError:
            forged += 1
            return Response(status_code=401)
        event = json.loads(body)
        # Before this answer it is on the disk; after it the sender forgets it. What is about no workflow is a trial.
        if event["type"].startswith(ABOUT_WORKFLOWS) and not inbox.take_delivery(event):
            catch_up.ask()
        return Response(status_code=204)

    async def state(_request: Request) -> JSONResponse:
        applied = [dict(zip(("workflow", "sequence", "outcome", "via"), row, strict=True)) for row in inbox.applied()]
        return JSONResponse({"applied": applied, "held": inbox.gaps(), "repeats": inbox.repeats, "forged": forged})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(catch_up.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        inbox.close()

    return Starlette(routes=[Route("/events", deliver, methods=["POST"]), Route("/state", state)], lifespan=lifespan)


async def _body(request: Request) -> bytes | None:
    """The exact bytes, which are what was signed; None: too many."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)
