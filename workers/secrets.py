"""What a subscriber's events are signed with: its secret and, for a while after a rotation, those before it."""

from uuid import UUID

from psycopg import Connection
from uuid_utils.compat import uuid7

from schemas.sealing import KeyRing
from workers import store


def secret_place(subscription_id: UUID) -> str:
    """Where a subscription's secret is kept: sealed for there, it opens nowhere else."""
    return f"subscriptions.sealed_secret/{subscription_id}"


def retired_place(retired_id: UUID) -> str:
    """Where a secret is kept that was rotated out."""
    return f"retired_secrets.sealed_secret/{retired_id}"


def open_secret(keys: KeyRing, subscription_id: UUID, sealed: bytes) -> str:
    """A subscription's own secret. Raises UnsealError."""
    return keys.unseal(sealed, place=secret_place(subscription_id)).decode()


def open_retired(conn: Connection, keys: KeyRing, subscription_id: UUID) -> list[str]:
    """Those that still sign beside it, the latest first. Raises UnsealError."""
    found = store.rows(conn, "subscriptions", "get_retired_secrets", {"id": subscription_id})
    return [keys.unseal(row["sealed_secret"], place=retired_place(row["id"])).decode() for row in found]


def rotate(
    conn: Connection, keys: KeyRing, subscription_id: UUID, sealed: bytes, *, secret: str, seconds: float
) -> bool:
    """Put a new secret in the place of the one that was read. False: it had changed.

    The old one signs too for so many seconds, and none of before it longer.
    """
    retired_id = uuid7()
    old = open_secret(keys, subscription_id, sealed)
    new = {
        "id": subscription_id,
        "was": sealed,
        "sealed_secret": keys.seal(secret.encode(), place=secret_place(subscription_id)),
    }
    retired = {
        "id": retired_id,
        "subscription_id": subscription_id,
        "sealed_secret": keys.seal(old.encode(), place=retired_place(retired_id)),
        "seconds": seconds,
    }
    with conn.transaction():
        if store.change(conn, "subscriptions", "replace_secret", new) == 0:
            return False
        store.change(conn, "subscriptions", "shorten_retired_secrets", retired)
        store.change(conn, "subscriptions", "insert_retired_secret", retired)
    return True
