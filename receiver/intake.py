"""A callback at the door -> kept, then 200: who calls, how large, its exact bytes; nothing in it is read."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import NamedTuple, TypedDict

import structlog
from starlette.types import Receive, Scope, Send
from uuid_utils.compat import uuid7

from receiver.addresses import Judgement
from receiver.allowlist import Allowlist
from receiver.answers import KEPT, NOT_FOUND, REFUSED, TOO_LARGE, TOO_SLOW, UNREADABLE, Answer, not_kept
from receiver.arrival import Arrival, head_bytes
from receiver.body import Body, IncompleteError, SlowError, listen_on, read_body
from receiver.inbox import Inbox
from receiver.metrics import Metrics
from receiver.room import MOST_REFUSED_BODY, Room
from receiver.source import Trace, peer_address, trace
from receiver.spool.spool import Spool
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
    room: Room
    watch: Watch
    metrics: Metrics


class Caller(NamedTuple):
    """Where a request is for and where it is from."""

    tenant: str
    secret: bytes
    traced: Trace
    judgement: Judgement


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
        state["metrics"].answered(answer.status).inc()
        state["metrics"].seconds.observe(time.perf_counter() - began)
        await answer(scope, receive, send)


async def receive_callback(scope: Scope, receive: Receive, state: State) -> Answer:
    """The order of checks: for whom, from whom, how large; then kept."""
    tenant, secret = addressed(scope["path"])
    if not is_accepted(tenant, secret, state["secrets"]):
        return NOT_FOUND
    traced = _traced(scope, state["settings"])
    judgement = await state["allowlist"].judge(traced.address)
    caller = Caller(tenant, secret, traced, judgement)
    if judgement.verdict == "refused":
        return await turn_away(scope, receive, state, caller)

    try:
        body = await read_body(receive, limit=state["settings"].max_body_bytes, seconds=BODY_SECONDS)
    except (IncompleteError, SlowError) as error:
        return _not_complete(error, state)
    return await keep(scope, receive, state, caller, body)


async def keep(scope: Scope, receive: Receive, state: State, caller: Caller, body: Body) -> Answer:
    """Keep what Jumio, or somebody nobody can judge yet, sent; then say so."""
    row_state, last_error = "stored", None
    if body.over:
        row_state, last_error = "parked", f"oversize: more than {state['settings'].max_body_bytes} bytes"
    if caller.judgement.verdict == "unverified":
        if not state["room"].take("unverified", len(body.data)):
            state["metrics"].not_kept.labels("no_room").inc()
            return not_kept()
        row_state = "unverified"
    try:
        await state["inbox"].keep(_arrival(scope, caller, body, state=row_state, last_error=last_error))
    except NotKeptError as error:
        state["metrics"].not_kept.labels(error.args[0]).inc()
        return not_kept()
    if body.over:
        log.error("callback.oversize", tenant=caller.tenant)
        if body.more:
            await listen_on(receive, limit=state["settings"].max_body_bytes)
        return TOO_LARGE
    return KEPT


async def turn_away(scope: Scope, receive: Receive, state: State, caller: Caller) -> Answer:
    """Refuse; and within the room for it keep what was sent, in case the refusal was a mistake."""
    state["metrics"].refused.labels(str(caller.judgement.evidence["rule"])).inc()
    if not state["room"].paced():
        return REFUSED
    rule, address = caller.judgement.evidence["rule"], str(caller.traced.address)
    log.warning("callback.refused", tenant=caller.tenant, address=address, rule=rule)
    if _declared_bytes(scope) > MOST_REFUSED_BODY or _waits_to_be_asked(scope):
        return REFUSED
    try:
        body = await read_body(receive, limit=MOST_REFUSED_BODY, seconds=STRANGERS_BODY_SECONDS)
        if not body.over and state["room"].take("refused", len(body.data)):
            await state["inbox"].keep(_arrival(scope, caller, body, state="refused", last_error=REFUSED_ERROR))
    except (IncompleteError, SlowError, NotKeptError):
        return REFUSED
    return REFUSED


def addressed(path: str) -> tuple[str, bytes]:
    """Tenant and secret from the path; a slash at the end changes nothing."""
    tenant, _, secret = path.removeprefix(PREFIX).removesuffix("/").partition("/")
    return tenant, secret.encode("utf-8", "surrogateescape")


def is_accepted(tenant: str, secret: bytes, accepted: Mapping[str, tuple[bytes, ...]]) -> bool:
    """Whether the tenant is there and the secret is one of its own; all are compared, whichever it is."""
    known = accepted.get(tenant)
    if not known:
        return known is not None and not secret
    return sum(compare_digest(secret, one) for one in known) > 0


def _traced(scope: Scope, settings: Settings) -> Trace:
    client = scope.get("client")
    header = settings.client_address_header
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == header.encode()]
    return trace(client[0] if client else None, lines, trusted=settings.trusted_proxies, header=header)


def _arrival(scope: Scope, caller: Caller, body: Body, *, state: str, last_error: str | None) -> Arrival:
    client = scope.get("client")
    peer = peer_address(client[0]) if client else None
    address = caller.traced.address
    return Arrival(
        id=uuid7(),
        tenant=caller.tenant,
        received_at=datetime.now(UTC),
        peer=str(peer) if peer else None,
        client_address=str(address) if address else None,
        evidence={**caller.judgement.evidence, "hops": caller.traced.hops},
        body=body.data,
        head=head_bytes(scope["headers"], query=scope["query_string"], secret=caller.secret),
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
