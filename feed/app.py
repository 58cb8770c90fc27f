"""GET /events: who asks, what for, the page; or a wait for it that holds nothing."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TypedDict

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive

from feed.latest import AWAY as DATABASE_AWAY
from feed.latest import Latest
from feed.metrics import Metrics
from feed.problems import (
    AWAY,
    CURSOR_ENDED,
    NOT_ALLOWED,
    NOT_FOUND,
    TOKEN_MISSING,
    TOKEN_UNKNOWN,
    TOO_MANY,
    RefusedError,
    refuse,
)
from feed.pulse import Pulse
from feed.question import Question
from feed.store import Page, Pool, find_consumer, read_page
from schemas.events.envelope import BATCH_CONTENT_TYPE

# One consumer that opens many waits must not keep the others out; a program needs one, and one more while it restarts.
MOST_REQUESTS = 8
# How long an answer may look for what is rare; callers wait longer than that.
SCAN_SECONDS = 10.0
_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)

log = structlog.get_logger()


class State(TypedDict):
    """What the lifespan opens and every request finds."""

    pool: Pool
    latest: Latest
    metrics: Metrics
    open_requests: Counter[str]


def build_app(pool: Pool, latest: Latest, metrics: Metrics) -> ASGIApp:
    """What listens on FEED_BIND. The pool, the look-out and the pulse are opened and closed with it."""
    pulse = Pulse(pool, metrics)

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[State]:
        # Not waited for: while Postgres is away, the answer is 503 and not a process that does not start.
        await pool.open()
        await latest.open()
        await pulse.open()
        try:
            yield State(pool=pool, latest=latest, metrics=metrics, open_requests=Counter())
        finally:
            await pulse.close()
            await latest.close()
            await pool.close()

    async def not_found(request: Request) -> Response:
        return refuse(NOT_ALLOWED if request.url.path == "/events" else NOT_FOUND)

    routes = [
        Route("/events", events, methods=["GET"]),
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/{rest:path}", not_found, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    ]
    return Router(routes, redirect_slashes=False, lifespan=lifespan)


async def events(request: Request[State]) -> Response:
    """The answer, counted."""
    metrics = request.state["metrics"]
    answer = await _answer(request, metrics)
    metrics.answers.labels(str(answer.status_code)).inc()
    return answer


async def _answer(request: Request[State], metrics: Metrics) -> Response:
    """Read, and while there is nothing wait for it and read again: each time it is asked again who this is."""
    try:
        token = _token(request)
        question = Question.read(request.query_params)
        page = await _page(request, token, question)
    except RefusedError as error:
        [problem] = error.args
        log.warning("feed.refused", code=problem.code)
        metrics.refused.labels(problem.code).inc()
        return refuse(problem)
    except DATABASE_AWAY as error:
        log.warning("feed.database_away", error=type(error).__name__)
        return refuse(AWAY)
    metrics.events.inc(len(page.bodies))
    headers = {"feed-cursor": page.cursor.text(), "feed-more": str(page.more).lower(), "cache-control": "no-store"}
    return Response(f"[{','.join(page.bodies)}]", media_type=BATCH_CONTENT_TYPE, headers=headers)


async def livez(_request: Request[State]) -> JSONResponse:
    """The loop answers."""
    return JSONResponse({"live": True})


async def readyz(request: Request[State]) -> JSONResponse:
    """Postgres answers."""
    try:
        async with request.state["pool"].connection():
            return JSONResponse({"ready": True})
    except DATABASE_AWAY:
        return JSONResponse({"ready": False, "reason": "Postgres does not answer: check DATABASE_URL"}, status_code=503)


def _token(request: Request[State]) -> str:
    """From the header and nowhere else: what is in a URL is in somebody's log."""
    found = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        raise RefusedError(TOKEN_MISSING)
    return found[1]


async def _page(request: Request[State], token: str, question: Question) -> Page:
    state, until = request.state, time.monotonic() + question.wait
    bell = state["latest"].bell()
    name, page = await _read(state, token, question)
    if page.bodies or page.more or not question.wait:
        return page
    with _counted(state["open_requests"], name), state["metrics"].waiting.track_inprogress():
        gone = asyncio.create_task(_gone(request.receive))
        try:
            while not (page.bodies or page.more or gone.done()) and (left := until - time.monotonic()) > 0:
                await _wait(state["latest"], bell, left, gone)
                bell = state["latest"].bell()
                _, page = await _read(state, token, replace(question, after=page.cursor))
                if state["latest"].stopped:
                    break
        finally:
            gone.cancel()
    return page


async def _read(state: State, token: str, question: Question) -> tuple[str, Page]:
    """The page, past all that is of no interest; a place to go on where that is too much for one answer."""
    until = time.monotonic() + SCAN_SECONDS
    while True:
        async with state["pool"].connection() as conn:
            consumer = await find_consumer(conn, token)
            if consumer is None:
                raise RefusedError(TOKEN_UNKNOWN)
            with state["metrics"].page_seconds.time():
                page = await read_page(conn, question, consumer)
        if page.ended:
            raise RefusedError(CURSOR_ENDED)
        if page.bodies or not page.more or time.monotonic() > until:
            return consumer.name, page
        question = replace(question, after=page.cursor)


async def _wait(latest: Latest, bell: asyncio.Event, seconds: float, gone: "asyncio.Task[None]") -> None:
    """For a change, or for the caller to hang up: who is not there holds no place."""
    change = asyncio.create_task(latest.wait(bell, seconds))
    try:
        await asyncio.wait((change, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def _counted(open_requests: Counter[str], name: str) -> Iterator[None]:
    if open_requests[name] >= MOST_REQUESTS:
        raise RefusedError(TOO_MANY)
    open_requests[name] += 1
    try:
        yield
    finally:
        open_requests[name] -= 1
        if not open_requests[name]:
            del open_requests[name]
