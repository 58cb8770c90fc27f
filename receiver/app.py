"""The two applications of a receiver: callbacks with probes for the world, metrics for the operator."""

import math
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from receiver.allowlist import Allowlist
from receiver.answers import NOT_FOUND
from receiver.body import TICK_SECONDS
from receiver.callers import Callers
from receiver.guard import Guard
from receiver.health import door, livez, readyz
from receiver.inbox import Inbox
from receiver.intake import PREFIX, Intake, State
from receiver.metrics import Counts, Metrics
from receiver.room import Room
from receiver.spool.drain import Drain
from receiver.spool.spool import Spool
from receiver.ticks import Ticks
from receiver.watch import Watch
from schemas.settings import Settings


class Part(Protocol):
    """What runs beside the requests, from before the first to after the last."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...


class CallbacksFirst:
    """Callbacks straight to their endpoint: matching routes is a tenth of the time that an answer takes."""

    def __init__(self, intake: Intake, router: Router) -> None:
        self._intake = intake
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        callback = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(PREFIX)
        await (self._intake if callback else self._router)(scope, receive, send)


def build_app(settings: Settings, metrics: Metrics, allowlist: Allowlist | None = None) -> ASGIApp:
    """What listens on BIND; a server that limits connections has an allow-list to share.

    A bare router: a slash is never redirected, and no middleware makes a 500 of anything.
    """

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[State]:
        state = _state(settings, metrics, allowlist or Allowlist(settings))
        parts: list[Part] = [state["inbox"], state["watch"], state["allowlist"]]
        if spool := state["spool"]:
            url = settings.database_url.get_secret_value()
            parts = [spool, *parts, Drain(url, spool, away=lambda: state["inbox"].away, metrics=metrics)]
        for part in parts:
            await part.open()
        try:
            yield state
        finally:
            for part in reversed(parts):
                await part.close()

    intake = Intake()
    routes = [
        Route(PREFIX + "{rest:path}", intake, methods=["POST"]),
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/readyz/door", door),
    ]
    router = Router(routes, redirect_slashes=False, default=NOT_FOUND, lifespan=lifespan)
    return Guard(CallbacksFirst(intake, router), metrics)


def build_metrics_app(metrics: Counts) -> ASGIApp:
    """What listens on METRICS_BIND: it holds no state of its own, so it answers before and after the other one."""

    async def scrape(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def live(_request: Request) -> Response:
        return Response('{"live":true}', media_type="application/json")

    return Guard(Router([Route("/metrics", scrape), Route("/livez", live)], redirect_slashes=False), metrics)


def _state(settings: Settings, metrics: Metrics, allowlist: Allowlist) -> State:
    url = settings.database_url.get_secret_value()
    process = f"receiver/{socket.gethostname()}/{os.getpid()}"
    room = Room()
    spool = Spool(settings.spool_dir, settings.keys, metrics=metrics) if settings.spool_dir else None
    if spool:
        _watch_spool(spool, metrics)
    metrics.watch("allowlist_addresses", "Addresses that DNS admits.", allowlist.admitted)
    metrics.watch("allowlist_silent_seconds", "Since DNS last gave an address.", lambda: _silence(allowlist))
    return State(
        settings=settings,
        secrets={
            name: tuple(secret.get_secret_value().encode() for secret in tenant.callback_secrets)
            for name, tenant in settings.tenants.items()
        },
        inbox=Inbox(url, settings.keys, process=process, metrics=metrics, spool=spool),
        spool=spool,
        allowlist=allowlist,
        callers=Callers(settings, allowlist),
        room=room,
        ticks=Ticks(TICK_SECONDS),
        watch=Watch(url, room=room, metrics=metrics),
        metrics=metrics,
    )


def _silence(allowlist: Allowlist) -> float:
    silent = allowlist.silent_seconds()
    return math.inf if silent is None else silent


def _watch_spool(spool: Spool, metrics: Metrics) -> None:
    metrics.watch("spool_rows", "Callbacks that wait in the spool.", lambda: spool.depth.rows)
    metrics.watch("spool_bytes", "What they take on disk.", lambda: spool.depth.bytes)
    metrics.watch("spool_oldest_seconds", "Since the oldest of them was spooled.", spool.depth_seconds)
    metrics.watch("spool_damaged_files", "Files with what cannot be drained.", lambda: spool.depth.damaged_files)
    metrics.watch("spool_usable", "1 while its disk takes writes.", lambda: float(spool.usable))
    # By the last look, like the others: a scrape must not wait for a disk.
    metrics.watch("spool_free_bytes", "What is free on its disk.", lambda: spool.depth.free_bytes)
