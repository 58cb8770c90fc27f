"""The command line's subscriptions: add, list and remove those who get events as signed webhooks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args
from uuid import UUID

from psycopg import Connection
from psycopg.errors import UniqueViolation
from uuid_utils.compat import uuid7

from schemas.events.envelope import EventType
from schemas.events.signing import SigningSecretError, new_secret, read_secret
from schemas.sealing import KeyRing
from schemas.settings import Network
from workers import store
from workers.deliver import REMOVED, end_subscription, secret_place
from workers.destinations.egress import Endpoint, Resolve, judge, resolve
from workers.errors import SubscriberForbiddenError

EVENT_TYPES: tuple[str, ...] = get_args(EventType)


class SubscriptionError(Exception):
    """The subscription cannot be made or found as asked; the text says what to change."""


@dataclass(frozen=True)
class Added:
    """A new subscription; whoever receives its events needs the secret."""

    id: UUID
    secret: str
    generated: bool


@dataclass(frozen=True)
class Subscription:
    """One line of the list; no types means all of them."""

    id: UUID
    url: str
    types: list[str] | None
    created_at: datetime
    pending: int
    parked: int
    delivered: int


def add(
    conn: Connection,
    url: str,
    *,
    keys: KeyRing,
    private: Sequence[Network],
    types: Sequence[str] | None = None,
    secret: str | None = None,
    resolve: Resolve = resolve,
) -> Added:
    """Subscribe a URL to some or all types of event. Raises SubscriptionError."""
    endpoint = _allowed(url, private=private, resolve=resolve)
    _check_types(types)
    subscription_id, signing = uuid7(), secret or new_secret()
    _check_secret(signing)

    row = {
        "id": subscription_id,
        "url": endpoint.url,
        "types": list(types) if types else None,
        "sealed_secret": keys.seal(signing.encode(), place=secret_place(subscription_id)),
    }
    try:
        with conn.transaction():
            store.change(conn, "subscriptions", "insert_subscription", row)
            # Not the whole URL: its path may be a secret.
            told = {"change": "added", "subscription": str(subscription_id), "host": endpoint.host}
            store.append_audit(conn, "subscription.changed", details=told)
    except UniqueViolation:
        raise SubscriptionError("this URL is subscribed already; remove it first to change it") from None
    return Added(subscription_id, signing, generated=secret is None)


def list_all(conn: Connection) -> list[Subscription]:
    """The subscriptions that stand, oldest first."""
    return [Subscription(**row) for row in store.rows(conn, "subscriptions", "list_subscriptions")]


def remove(conn: Connection, id_or_url: str) -> int:
    """End a subscription: how many deliveries that waited for it were cancelled. Raises SubscriptionError."""
    asked = {"id_or_url": id_or_url.strip().lower(), "url": _normal(id_or_url)}
    found = store.rows(conn, "subscriptions", "find_subscription", asked)
    cancelled = end_subscription(conn, found[0]["id"], error=REMOVED) if found else None
    if cancelled is None:
        raise SubscriptionError("no subscription has this id or URL; see: jumio-pipeline subscriptions list")
    return cancelled


def read_or_create_secret_file(path: Path) -> tuple[str, bool]:
    """The secret in a file, and whether it was made just now; a file that exists is never written.

    Raises SubscriptionError.
    """
    secret = new_secret()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_secret_file(path), False
    except OSError as error:
        raise SubscriptionError(f"the secret file cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{secret}\n")
    return secret, True


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


def _check_types(types: Sequence[str] | None) -> None:
    unknown = sorted(set(types or ()) - set(EVENT_TYPES))
    if unknown:
        raise SubscriptionError(f"no such type: {', '.join(unknown)}; there are: {', '.join(EVENT_TYPES)}")


def _check_secret(secret: str) -> None:
    try:
        read_secret(secret)
    except SigningSecretError as error:
        raise SubscriptionError(str(error)) from None


def _normal(url: str) -> str:
    try:
        return Endpoint.read(url).url
    except SubscriberForbiddenError:
        return url


def _read_secret_file(path: Path) -> str:
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SubscriptionError(f"the secret file cannot be read: {type(error).__name__}") from None
    _check_secret(secret)
    return secret
