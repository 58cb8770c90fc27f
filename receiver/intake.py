"""A callback at the door -> kept, then 200: who calls, how large, its exact bytes; nothing in it is read."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import NamedTuple, TypedDict

import structlog
from starlette.types import Receive, Scope, Send
from uuid_utils import uuid7

from receiver.allowlist import Allowlist
from receiver.answers import KEPT, NOT_FOUND, REFUSED, TOO_LARGE, TOO_SLOW, UNREADABLE, Answer, not_kept
from receiver.arrival import Arrival, head_bytes
from receiver.body import Body, IncompleteError, SlowError, listen_on, read_body
from receiver.callers import Caller, Callers
from receiver.inbox import Inbox
from receiver.metrics import Metrics
from receiver.room import MOST_REFUSED_BODY, Room
from receiver.spool.spool import Spool
from receiver.ticks import Ticks
from receiver.waiting import NotKeptError
from receiver.watch import Watch
from schemas.settings import Settings

# A callback is one packet or two; a server has no deadline of its own for a body.
BODY_SECONDS = 15.0
STRANGERS_BODY_SECONDS = 5.0
PREFIX = "/callbacks/"
REFUSED_ERROR = "source: not an address of Jumio's"

log = structlog.get_logger()


class State(TypedDict):
    """What the lifespan opens and every request finds."""

    settings: Settings
    secrets: Mapping[str, tuple[bytes, ...]]
    inbox: Inbox
    spool: Spool | None
    allowlist: Allowlist
    callers: Callers
    room: Room
    ticks: Ticks
    watch: Watch
    metrics: Metrics


class Addressed(NamedTuple):
    """Where a request is for, by its path."""

    tenant: str
    secret: bytes


class Delivery(NamedTuple):
    """A request with what is known before its body is read."""

    scope: Scope
    to: Addressed
    caller: Caller


class Intake:
    """The endpoint, as an ASGI class: measured a third faster than a function route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: State = scope["state"]
        began = time.perf_counter()
        try:
            answer = await receive_callback(scope, receive, state)
        except Exception:  # a callback must never meet a 500: Jumio documents no second try
            log.exception("callback.failed")
            state["metrics"].not_kept.labels("failed").inc()
            answer = not_kept()
        await answer(scope, receive, send)
        state["metrics"].answers.note(answer.status, time.perf_counter() - began)


async def receive_callback(scope: Scope, receive: Receive, state: State) -> Answer:
    """The order of checks: for whom, from whom, how large; then kept."""
    to = addressed(scope["path"])
    if not is_accepted(to, state["secrets"]):
        return NOT_FOUND
    delivery = Delivery(scope, to, await state["callers"].identify(scope))
    if delivery.caller.judgement.verdict == "refused":
        return await turn_away(delivery, receive, state)

    try:
        body = await read_body(
            receive, limit=state["settings"].max_body_bytes, seconds=BODY_SECONDS, ticks=state["ticks"]
        )
    except (IncompleteError, SlowError) as error:
        return _not_complete(error, state)
    return await keep(delivery, receive, state, body)


async def keep(delivery: Delivery, receive: Receive, state: State, body: Body) -> Answer:
    """Keep what Jumio, or somebody nobody can judge yet, sent; then say so."""
    row_state, last_error = "stored", None
    if body.over:
        row_state, last_error = "parked", f"oversize: more than {state['settings'].max_body_bytes} bytes"
    if delivery.caller.judgement.verdict == "unverified":
        if not state["room"].take("unverified", len(body.data)):
            state["metrics"].not_kept.labels("no_room").inc()
            return not_kept()
        row_state = "unverified"
    try:
        await state["inbox"].keep(_arrival(delivery, body, state=row_state, last_error=last_error))
    except NotKeptError as error:
        state["metrics"].not_kept.labels(error.args[0]).inc()
        return not_kept()
    if body.over:
        log.error("callback.oversize", tenant=delivery.to.tenant)
        if body.more:
            await listen_on(receive, limit=state["settings"].max_body_bytes)
        return TOO_LARGE
    return KEPT


async def turn_away(delivery: Delivery, receive: Receive, state: State) -> Answer:
    """Refuse; and within the room for it keep what was sent, in case the refusal was a mistake."""
    caller = delivery.caller
    state["metrics"].refused.labels(caller.rule).inc()
    if not state["room"].paced():
        return REFUSED
    log.warning("callback.refused", tenant=delivery.to.tenant, address=caller.address, rule=caller.rule)
    if _declared_bytes(delivery.scope) > MOST_REFUSED_BODY or _waits_to_be_asked(delivery.scope):
        return REFUSED
    try:
        body = await read_body(receive, limit=MOST_REFUSED_BODY, seconds=STRANGERS_BODY_SECONDS, ticks=state["ticks"])
        if not body.over and state["room"].take("refused", len(body.data)):
            await state["inbox"].keep(_arrival(delivery, body, state="refused", last_error=REFUSED_ERROR))
    except (IncompleteError, SlowError, NotKeptError):
        return REFUSED
    return REFUSED


def addressed(path: str) -> Addressed:
    """Tenant and secret from the path; a slash at the end changes nothing."""
    tenant, _, secret = path.removeprefix(PREFIX).removesuffix("/").partition("/")
    return Addressed(tenant, secret.encode("utf-8", "surrogateescape"))


def is_accepted(to: Addressed, accepted: Mapping[str, tuple[bytes, ...]]) -> bool:
    """Whether the tenant is there and the secret is one of its own; all are compared, whichever it is."""
    known = accepted.get(to.tenant)
    if not known:
        return known is not None and not to.secret
    return sum(compare_digest(to.secret, one) for one in known) > 0


def _arrival(delivery: Delivery, body: Body, *, state: str, last_error: str | None) -> Arrival:
    scope, to, caller = delivery
    return Arrival(
        id=uuid7(),
        tenant=to.tenant,
        received_at=datetime.now(UTC),
        peer=caller.peer,
        client_address=caller.address,
        evidence=caller.evidence,
        body=body.data,
        head=head_bytes(scope["headers"], query=scope["query_string"], secret=to.secret),
        state=state,
        last_error=last_error,
    )


def _not_complete(error: Exception, state: State) -> Answer:
    """Nothing is stored: a part is never mistaken for the whole."""
    slow = isinstance(error, SlowError)
    reason = "slow" if slow else "ended"
    state["metrics"].incomplete.labels(reason).inc()
    log.warning("callback.incomplete", reason=reason)
    return TOO_SLOW if slow else UNREADABLE


def _waits_to_be_asked(scope: Scope) -> bool:
    """Whether reading the body would say 100 Continue first: nobody asks a stranger for more."""
    return any(name == b"expect" for name, _ in scope["headers"])


def _declared_bytes(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0
