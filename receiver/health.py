"""Is it well? Three parts, each with what mends it; nothing is asked of anyone while a probe waits."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse

from receiver.allowlist import STALE_SECONDS
from receiver.intake import State

# Three beats of the inbox, and four looks at the line, may be missed.
DURABLE_SECONDS = 30.0
SEEN_SECONDS = 40.0
# The longest that work may be overdue: no promise is broken yet, and a worker that consumes is minutes ahead of it.
OVERDUE_SECONDS = 300.0


class Part(NamedTuple):
    """One part of being ready."""

    ok: bool
    reason: str


async def livez(request: Request[State]) -> JSONResponse:
    """The loop answers, and the writer runs: if not, start the process anew."""
    spool = request.state["spool"]
    writes = request.state["inbox"].writes and (spool is None or spool.writes)
    reason = "answering" if writes else "a writer ended: restart this process"
    return _answer("live", {"process": Part(writes, reason)})


async def readyz(request: Request[State]) -> JSONResponse:
    """A write was proven durable, work is consumed, the allow-list is fresh."""
    return _answer("ready", {"durable_write": durable(request.state), **_further_parts(request.state)})


async def door(request: Request[State]) -> JSONResponse:
    """For load balancers: only whether a callback would be kept. With no worker, callbacks must come all the same."""
    return _answer("ready", {"durable_write": durable(request.state)})


def durable(state: State) -> Part:
    """Whether a commit was seen lately, or the spool takes what Postgres does not."""
    seconds = state["inbox"].durable_seconds()
    if seconds is not None and seconds < DURABLE_SECONDS and not state["inbox"].away:
        return Part(ok=True, reason="committed lately")
    spool = state["spool"]
    if spool and spool.usable:
        kept = f"{spool.depth.rows} callbacks wait in the spool"
        return Part(ok=True, reason=f"Postgres takes nothing, {kept}: check DATABASE_URL, run: jumio-pipeline migrate")
    since = "since the start" if seconds is None else f"for {seconds:.0f} s"
    return Part(ok=False, reason=f"nothing was committed {since}: check DATABASE_URL, and run: jumio-pipeline migrate")


def consumed(state: State) -> Part:
    """Whether somebody works on what is kept."""
    seen = state["watch"].seen
    if seen is None or time.monotonic() - seen.at > SEEN_SECONDS:
        return Part(ok=False, reason="the line cannot be read: check DATABASE_URL, and run: jumio-pipeline status")
    if not seen.workers:
        return Part(ok=False, reason="no worker was heard for 2 minutes: run: jumio-pipeline worker")
    if seen.overdue_seconds >= OVERDUE_SECONDS:
        overdue = f"work is overdue by {seen.overdue_seconds:.0f} s"
        return Part(ok=False, reason=f"{overdue}: run jumio-pipeline relay and more of: jumio-pipeline worker")
    return Part(ok=True, reason="workers are heard and nothing is long overdue")


def fresh(state: State) -> Part:
    """Whether DNS told lately who may call."""
    silent = state["allowlist"].silent_seconds()
    if silent is None:
        return Part(ok=False, reason="no address of Jumio's is known: check DNS_SERVERS and SOURCE_HOSTS")
    if silent >= STALE_SECONDS:
        return Part(ok=False, reason=f"no DNS answer for {silent:.0f} s: check DNS_SERVERS, run: jumio-pipeline status")
    return Part(ok=True, reason="DNS answered lately")


def _further_parts(state: State) -> Mapping[str, Part]:
    return {"consumption": consumed(state), "allowlist": fresh(state)}


def _answer(word: str, parts: Mapping[str, Part]) -> JSONResponse:
    well = all(part.ok for part in parts.values())
    shown = {name: part._asdict() for name, part in parts.items()}
    return JSONResponse({word: well, "parts": shown}, status_code=200 if well else 503)
