"""Parked or refused rows back on the line, once an operator has mended the cause or vouches for the source."""

from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

import structlog
from psycopg import Connection

from schemas.sql.queries import WAITING, query, work_query
from workers import store

log = structlog.get_logger()

Counts = dict[str, int]


def requeue_callback(conn: Connection, callback_id: UUID) -> Counts:
    """One callback, parked or refused."""
    with conn.transaction():
        rows = conn.execute(work_query("callbacks", "requeue"), {"reason": None, "id": callback_id}).rowcount
        rows += conn.execute(query("callbacks", "requeue_refused"), {"address": None, "id": callback_id}).rowcount
        return _done(conn, {"callbacks": rows}, callback=str(callback_id))


def requeue_parked(conn: Connection, reason: str | None) -> Counts:
    """Everything parked, or what is parked for one reason (the word before the colon)."""
    values = {"reason": reason, "id": None}
    with conn.transaction():
        counts: Counts = {table: conn.execute(work_query(table, "requeue"), values).rowcount for table in WAITING}
        return _done(conn, counts, parked=reason or "all")


def requeue_refused(conn: Connection, address: IPv4Address | IPv6Address | None) -> Counts:
    """Callbacks of refused sources, or of one address: from now on they count as Jumio's."""
    values = {"address": address, "id": None}
    with conn.transaction():
        counts = {"callbacks": conn.execute(query("callbacks", "requeue_refused"), values).rowcount}
        return _done(conn, counts, refused=str(address or "all"))


def _done(conn: Connection, counts: Counts, **asked: str) -> Counts:
    store.append_audit(conn, "rows.requeued", details={"asked": asked, "rows": counts})
    conn.execute(query("callbacks", "wake_relay"))
    log.info("work.requeued", **counts)
    return counts
