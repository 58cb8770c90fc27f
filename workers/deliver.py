"""decided -> emitted: one event to one destination, signed, sent, and the answer noted."""

import ssl
from dataclasses import dataclass
from uuid import UUID

import structlog
from psycopg import Connection

from schemas.settings import Settings
from workers import store
from workers.destinations.egress import Resolve, resolve
from workers.destinations.stream import EventStream, stream_enabled
from workers.destinations.webhook import DEADLINE_SECONDS, Answer, Webhooks
from workers.errors import SubscriberAwayError

log = structlog.get_logger()

# The word before the colon tells an operator's query which of the two ended it.
REMOVED = "subscription_removed: no events are wanted any more"
_GONE = "subscription_gone: the subscriber answered 410"


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
        self.stream = EventStream(settings)
        self.stream_enabled = stream_enabled(settings)

    def close(self) -> None:
        """Close the stream's connections; a webhook keeps none."""
        self.stream.close()


@dataclass(frozen=True)
class Subscriber:
    """Where a webhook goes and what it is signed with."""

    id: UUID
    url: str
    sealed_secret: bytes
    removed: bool


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one destination: a subscriber or, without one, the stream."""

    id: UUID
    attempt: int
    event_id: UUID
    type: str
    tenant: str
    workflow_key: str
    sequence: int
    body: str
    subscriber: Subscriber | None


def deliver(conn: Connection, delivery_id: UUID, *, attempt: int, destinations: Destinations) -> None:
    """Send it, outside of any transaction, then settle the row if this attempt still holds it.

    Raises SubscriberAwayError, SubscriberForbiddenError, StreamAwayError, UnsealError.
    """
    delivery = _get(conn, delivery_id, attempt)
    if delivery is None:
        return
    if delivery.subscriber is None:
        _append(delivery, destinations.stream)
        _settle(conn, delivery, "delivered")
    elif delivery.subscriber.removed:
        _settle(conn, delivery, "cancelled", error=REMOVED)
    else:
        _post(conn, delivery, delivery.subscriber, destinations=destinations)


def end_subscription(conn: Connection, subscription_id: UUID, *, error: str) -> int | None:
    """Remove a subscription and cancel what waits for it: how many, or None where it had ended before."""
    with conn.transaction():
        if store.change(conn, "subscriptions", "remove_subscription", {"id": subscription_id}) == 0:
            return None
        ended = {"change": "removed", "subscription": str(subscription_id)}
        store.append_audit(conn, "subscription.changed", reason=error, details=ended)
        return store.change(conn, "deliveries", "cancel_deliveries", {"id": subscription_id, "error": error})


def _get(conn: Connection, delivery_id: UUID, attempt: int) -> Delivery | None:
    found = store.rows(conn, "deliveries", "get_delivery", {"id": delivery_id, "attempt": attempt})
    if not found:
        return None
    [row] = found
    subscriber = Subscriber(*(row.pop(name) for name in ("subscription_id", "url", "sealed_secret", "removed")))
    return Delivery(**row, attempt=attempt, subscriber=None if subscriber.id is None else subscriber)


def _append(delivery: Delivery, stream: EventStream) -> None:
    stream.add(
        event_id=str(delivery.event_id),
        event_type=delivery.type,
        subject=delivery.workflow_key,
        sequence=delivery.sequence,
        tenant=delivery.tenant,
        body=delivery.body,
    )


def _post(conn: Connection, delivery: Delivery, subscriber: Subscriber, *, destinations: Destinations) -> None:
    secret = destinations.keys.unseal(subscriber.sealed_secret, place=secret_place(subscriber.id)).decode()

    answer = destinations.webhooks.send(
        subscriber.url, secret=secret, event_id=str(delivery.event_id), body=delivery.body.encode()
    )

    if answer.taken:
        with conn.transaction():
            _note(conn, delivery, answer)
            _settle(conn, delivery, "delivered")
        return
    _note(conn, delivery, answer)
    if not answer.gone:
        asked = () if answer.retry_after is None else (answer.retry_after,)
        raise SubscriberAwayError(f"status {answer.status}", *asked)
    # Not in one transaction with the note: two 410s at once would each hold a row that the other cancels.
    _disable(conn, subscriber)


def secret_place(subscription_id: UUID) -> str:
    """Where a subscription's secret is kept: sealed for there, it opens nowhere else."""
    return f"subscriptions.sealed_secret/{subscription_id}"


def _note(conn: Connection, delivery: Delivery, answer: Answer) -> None:
    values = {"id": delivery.id, "attempt": delivery.attempt, "status": answer.status}
    store.change(conn, "deliveries", "note_status", values)


def _settle(conn: Connection, delivery: Delivery, state: str, *, error: str | None = None) -> None:
    if not store.finish(conn, "deliveries", delivery.id, attempt=delivery.attempt, state=state, error=error):
        return
    ids = {
        "event_id": str(delivery.event_id),
        "subscription_id": str(delivery.subscriber.id) if delivery.subscriber else None,
    }
    if state == "delivered":
        log.info("delivery.sent", **ids)
    else:
        log.info("delivery.cancelled", **ids)


def _disable(conn: Connection, subscriber: Subscriber) -> None:
    cancelled = end_subscription(conn, subscriber.id, error=_GONE)
    if cancelled is not None:
        log.warning("subscription.disabled", subscription_id=str(subscriber.id), cancelled=cancelled)
