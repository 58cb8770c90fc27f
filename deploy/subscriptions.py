"""The command line's subscriptions: who gets events as signed webhooks, which ones, and whether they get them now."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from psycopg import Connection
from psycopg.errors import UniqueViolation
from uuid_utils.compat import uuid7

from schemas.callbacks import kyx
from schemas.callbacks.recognise import LEGACY
from schemas.events.data import event_data
from schemas.events.envelope import TRIAL, EventType, envelope
from schemas.events.signing import SigningSecretError, new_secret, public_key
from schemas.report import Outcome
from schemas.sealing import KeyRing
from schemas.settings import Network
from workers import store
from workers.deliver import REMOVED, Destinations, end_subscription
from workers.destinations.egress import Endpoint, Resolve, judge
from workers.destinations.resolver import resolve
from workers.destinations.webhook import Answer
from workers.errors import SubscriberForbiddenError
from workers.secrets import open_retired, open_secret, secret_place

ENRICHMENTS = ("checks", "identity")
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
OUTCOMES: tuple[str, ...] = get_args(Outcome)
FAMILIES: tuple[str, ...] = (kyx.NAME, *sorted(LEGACY))
# What may be asked for by name; tenants may come later than who wants to hear of them.
_KNOWN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "types": ("type", EVENT_TYPES),
    "outcomes": ("outcome", OUTCOMES),
    "families": ("family", FAMILIES),
    "enrich": ("enrichment", ENRICHMENTS),
}


class SubscriptionError(Exception):
    """The subscription cannot be made or found as asked; the text says what to change."""


@dataclass(frozen=True)
class Added:
    """A new subscription; whoever receives its events needs the secret."""

    id: UUID
    secret: str
    generated: bool


@dataclass(frozen=True)
class Found:
    """A subscription that stands, and what its events are signed with."""

    id: UUID
    url: str
    sealed_secret: bytes


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Which events a subscriber gets, and what is in them besides; None lets everything pass, and adds nothing."""

    types: Sequence[str] | None = None
    outcomes: Sequence[str] | None = None
    tenants: Sequence[str] | None = None
    families: Sequence[str] | None = None
    enrich: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Subscription(Wishes):
    """One line of the list."""

    id: UUID
    url: str
    created_at: datetime
    paused_at: datetime | None
    failures: int
    failing_since: datetime | None
    last_failure: str | None
    probe_at: datetime | None
    rotated_until: datetime | None
    pending: int
    parked: int
    delivered: int


EVERYTHING = Wishes()


def add(
    conn: Connection,
    url: str,
    wishes: Wishes = EVERYTHING,
    *,
    keys: KeyRing,
    private: Sequence[Network],
    secret: str | None = None,
    resolve: Resolve = resolve,
) -> Added:
    """Subscribe a URL to some or all events. Raises SubscriptionError."""
    endpoint = _allowed(url, private=private, resolve=resolve)
    _check(wishes)
    subscription_id, signing = uuid7(), secret or new_secret()
    check_secret(signing)

    row = {
        "id": subscription_id,
        "url": endpoint.url,
        **{name: list(values) if values else None for name, values in asdict(wishes).items()},
        "sealed_secret": keys.seal(signing.encode(), place=secret_place(subscription_id)),
    }
    # Not the whole URL: its path may be a secret.
    told = {"host": endpoint.host} | ({"enrich": ", ".join(wishes.enrich)} if wishes.enrich else {})
    try:
        with conn.transaction():
            store.change(conn, "subscriptions", "insert_subscription", row)
            tell(conn, "added", subscription_id, **told)
    except UniqueViolation:
        raise SubscriptionError("this URL is subscribed already; remove it first to change it") from None
    return Added(subscription_id, signing, generated=secret is None)


def list_all(conn: Connection) -> list[Subscription]:
    """The subscriptions that stand, oldest first."""
    return [Subscription(**row) for row in store.rows(conn, "subscriptions", "list_subscriptions")]


def find(conn: Connection, id_or_url: str) -> Found:
    """The one that has this id or URL. Raises SubscriptionError."""
    asked = {"id_or_url": id_or_url.strip().lower(), "url": _normal(id_or_url)}
    found = store.rows(conn, "subscriptions", "find_subscription", asked)
    if not found:
        raise SubscriptionError("no subscription has this id or URL; see: jumio-pipeline subscriptions list")
    return Found(**found[0])


def remove(conn: Connection, id_or_url: str) -> int:
    """End a subscription: how many deliveries that waited for it were cancelled. Raises SubscriptionError."""
    cancelled = end_subscription(conn, find(conn, id_or_url).id, error=REMOVED)
    if cancelled is None:
        raise SubscriptionError("no subscription has this id or URL; see: jumio-pipeline subscriptions list")
    return cancelled


def pause(conn: Connection, id_or_url: str) -> bool:
    """Send it nothing until it is resumed; what comes meanwhile waits. False: it was paused already.

    Raises SubscriptionError.
    """
    subscription_id = find(conn, id_or_url).id
    with conn.transaction():
        paused = store.change(conn, "subscriptions", "pause_subscription", {"id": subscription_id}) == 1
        if paused:
            tell(conn, "paused", subscription_id)
    return paused


def resume(conn: Connection, id_or_url: str) -> int:
    """Send again, whoever had paused it: how many wait and go out now. Raises SubscriptionError."""
    subscription_id = find(conn, id_or_url).id
    with conn.transaction():
        store.change(conn, "subscriptions", "resume_subscription", {"id": subscription_id})
        store.change(conn, "deliveries", "hasten_deliveries", {"id": subscription_id})
        store.change(conn, "deliveries", "take_back", {"id": subscription_id})
        tell(conn, "resumed", subscription_id)
        store.rows(conn, "callbacks", "wake_relay")
    [waiting] = store.rows(conn, "deliveries", "count_waiting", {"id": subscription_id})
    return int(waiting["deliveries"])


def try_out(conn: Connection, id_or_url: str, *, destinations: Destinations, source: str) -> tuple[Answer, float]:
    """Send a marked event, from here and by the same way as any other: the answer, and the seconds that it took.

    Raises SubscriptionError, SubscriberAwayError, SubscriberAddressError, SubscriberForbiddenError, UnsealError.
    """
    found = find(conn, id_or_url)
    secrets = [open_secret(destinations.keys, found.id, found.sealed_secret)]
    secrets += open_retired(conn, destinations.keys, found.id)
    event_id = uuid7()
    body = envelope(
        event_id,
        TRIAL,
        source=source,
        subject=str(found.id),
        sequence=1,
        occurred_at=datetime.now(UTC),
        data=event_data(TRIAL, {"test": True, "subscription_id": found.id}),
    )
    started = time.monotonic()
    answer = destinations.webhooks.send(found.url, secrets=secrets, event_id=str(event_id), body=body.encode())
    return answer, time.monotonic() - started


def tell(conn: Connection, change: str, subscription_id: UUID, **more: object) -> None:
    """Tell the audit trail, in the caller's transaction, what an operator did to a subscription."""
    told = {"change": change, "subscription": str(subscription_id), **more}
    store.append_audit(conn, "subscription.changed", details=told)


def check_secret(secret: str) -> None:
    """Raises SubscriptionError where nothing can be signed with it."""
    try:
        public_key(secret)
    except SigningSecretError as error:
        raise SubscriptionError(str(error)) from None


def _allowed(url: str, *, private: Sequence[Network], resolve: Resolve) -> Endpoint:
    """Judged here for the operator's sake; what counts is the judgement at every connection."""
    try:
        endpoint = Endpoint.read(url)
        judge(endpoint, resolve(endpoint.host, endpoint.port), private=private)
    except SubscriberForbiddenError as error:
        raise SubscriptionError(str(error)) from error
    except OSError as error:
        raise SubscriptionError("the host's name does not resolve here") from error
    return endpoint


def _check(wishes: Wishes) -> None:
    for name, (what, known) in _KNOWN.items():
        unknown = sorted(set(asdict(wishes)[name] or ()) - set(known))
        if unknown:
            raise SubscriptionError(f"no such {what}: {', '.join(unknown)}; there are: {', '.join(known)}")


def _normal(url: str) -> str:
    try:
        return Endpoint.read(url).url
    except SubscriberForbiddenError:
        return url
