"""decided -> emitted: one event to one destination, signed, sent, and the answer noted."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from psycopg import Connection

from schemas.settings import Settings
from workers import store
from workers.destinations.breaker import note_failure, note_success
from workers.destinations.destination import Destination, Event
from workers.destinations.egress import Resolve
from workers.destinations.kinds import KINDS
from workers.destinations.resolver import resolve
from workers.destinations.webhook import DEADLINE_SECONDS, Answer, Webhooks
from workers.enrich import enriched_body
from workers.errors import OvertakenError, SubscriberAwayError, WaitError
from workers.secrets import open_retired, open_secret

log = structlog.get_logger()

# The word before the colon tells an operator's query which of the two ended it.
REMOVED = "subscription_removed: no events are wanted any more"
_GONE = "subscription_gone: the subscriber answered 410"
# What a claim must outlast the sending by: whoever claims next may then be sure that nothing more arrives.
_MARGIN_SECONDS = 1.0


class Destinations:
    """Opened once a process, after the fork."""

    def __init__(
        self,
        settings: Settings,
        *,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self.keys = settings.keys
        self.webhooks = Webhooks(private=settings.subscriber_private_cidrs, tls=tls, resolve=resolve, seconds=seconds)
        self.others: Mapping[str, Destination] = {kind.name: kind(settings) for kind in KINDS}

    def close(self) -> None:
        """Close what keeps connections; a webhook keeps none."""
        for destination in self.others.values():
            destination.close()


@dataclass(frozen=True)
class Subscriber:
    """Where a webhook goes and what it is signed with."""

    id: UUID
    url: str
    sealed_secret: bytes
    removed: bool
    enrich: list[str] | None
    failing: bool
    rotated: bool


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one subscriber or, without one, to another destination."""

    id: UUID
    attempt: int
    destination: str
    event: Event
    subscriber: Subscriber | None
    held: bool
    overtaken: bool | None


def deliver(
    conn: Connection, delivery_id: UUID, *, attempt: int, destinations: Destinations, claim: float | None = None
) -> store.Claimed | None:
    """Send it, outside of any transaction, then settle the row if this attempt still holds it.

    With a claim (seconds), where a subscriber took it, the next that is due for the same one is claimed in its place.

    Raises WaitError, OvertakenError, SubscriberAwayError, SubscriberForbiddenError, UnsealError, or what the
    destination raises.
    """
    deadline = time.monotonic() + destinations.webhooks.seconds
    delivery = _get(conn, delivery_id, attempt, seconds=destinations.webhooks.seconds + _MARGIN_SECONDS)
    if delivery is None:
        return None
    if delivery.subscriber is not None and delivery.subscriber.removed:
        _settle(conn, delivery, "cancelled", error=REMOVED)
        return None
    _refuse_out_of_turn(delivery)
    if delivery.subscriber is None:
        destinations.others[delivery.destination].put(delivery.event)
        _settle(conn, delivery, "delivered")
        return None
    answer = _post(conn, delivery, delivery.subscriber, destinations=destinations, deadline=deadline)
    return _heed(conn, delivery, delivery.subscriber, answer, claim=claim)


def end_subscription(conn: Connection, subscription_id: UUID, *, error: str) -> int | None:
    """Remove a subscription and cancel what waits for it: how many, or None where it had ended before."""
    with conn.transaction():
        if store.change(conn, "subscriptions", "remove_subscription", {"id": subscription_id}) == 0:
            return None
        ended = {"change": "removed", "subscription": str(subscription_id)}
        store.append_audit(conn, "subscription.changed", reason=error, details=ended)
        return store.change(conn, "deliveries", "cancel_deliveries", {"id": subscription_id, "error": error})


def _get(conn: Connection, delivery_id: UUID, attempt: int, *, seconds: float) -> Delivery | None:
    values = {"id": delivery_id, "attempt": attempt, "seconds": seconds}
    found = store.rows(conn, "deliveries", "get_delivery", values)
    if not found:
        return None
    [row] = found
    told = (row[name] for name in ("type", "tenant", "workflow_key", "sequence", "body", "replays"))
    event = Event(str(row["event_id"]), *told)
    about = ("subscription_id", "url", "sealed_secret", "removed", "enrich", "failing", "rotated")
    subscriber = Subscriber(*(row[name] for name in about))
    return Delivery(
        row["id"],
        attempt,
        row["destination"],
        event,
        None if subscriber.id is None else subscriber,
        row["held"],
        row["overtaken"],
    )


def _refuse_out_of_turn(delivery: Delivery) -> None:
    """What changed since the row was claimed. Raises WaitError, OvertakenError."""
    if delivery.held:
        raise WaitError("its subscription is paused")
    if delivery.overtaken is False:
        raise WaitError("a later event of its workflow may be on its way")
    if delivery.overtaken:
        raise OvertakenError


def _post(
    conn: Connection, delivery: Delivery, subscriber: Subscriber, *, destinations: Destinations, deadline: float
) -> Answer:
    secrets = [open_secret(destinations.keys, subscriber.id, subscriber.sealed_secret)]
    if subscriber.rotated:
        secrets += open_retired(conn, destinations.keys, subscriber.id)

    body = _body(conn, delivery, subscriber, destinations)
    try:
        return destinations.webhooks.send(
            subscriber.url,
            secrets=secrets,
            event_id=delivery.event.id,
            body=body.encode(),
            replays=delivery.event.replays,
            deadline=deadline,
        )
    except SubscriberAwayError as error:
        _note(conn, delivery, None)
        note_failure(conn, subscriber.id, str(error), retry_after=None)
        raise


def _heed(
    conn: Connection, delivery: Delivery, subscriber: Subscriber, answer: Answer, *, claim: float | None
) -> store.Claimed | None:
    if answer.taken:
        settled, following = store.finish_sent(
            conn, delivery.id, attempt=delivery.attempt, status=answer.status, seconds=claim
        )
        if settled:
            log.info("delivery.sent", **_ids(delivery))
        # One that began to fail meanwhile is found by the next.
        if subscriber.failing:
            note_success(conn, subscriber.id)
        return following
    _note(conn, delivery, answer.status)
    if answer.gone:
        # Not in one transaction with the note: two 410s at once would each hold a row that the other cancels.
        _disable(conn, subscriber)
        return None
    asked = () if answer.retry_after is None else (answer.retry_after,)
    away = SubscriberAwayError(f"status {answer.status}", *asked)
    note_failure(conn, subscriber.id, str(away), retry_after=answer.retry_after)
    raise away


def _body(conn: Connection, delivery: Delivery, subscriber: Subscriber, destinations: Destinations) -> str:
    body = delivery.event.body
    return enriched_body(conn, delivery.id, body, keys=destinations.keys) if subscriber.enrich else body


def _note(conn: Connection, delivery: Delivery, status: int | None) -> None:
    values = {"id": delivery.id, "attempt": delivery.attempt, "status": status}
    store.change(conn, "deliveries", "note_status", values)


def _settle(conn: Connection, delivery: Delivery, state: str, *, error: str | None = None) -> None:
    if store.finish(conn, "deliveries", delivery.id, attempt=delivery.attempt, state=state, error=error):
        if state == "delivered":
            log.info("delivery.sent", **_ids(delivery))
        else:
            log.info("delivery.cancelled", **_ids(delivery))


def _ids(delivery: Delivery) -> dict[str, str | None]:
    subscription_id = None if delivery.subscriber is None else str(delivery.subscriber.id)
    return {"event_id": delivery.event.id, "subscription_id": subscription_id}


def _disable(conn: Connection, subscriber: Subscriber) -> None:
    cancelled = end_subscription(conn, subscriber.id, error=_GONE)
    if cancelled is not None:
        log.warning("subscription.disabled", subscription_id=str(subscriber.id), cancelled=cancelled)
