"""Named queries in, rows out; and the moves that every table with work in it shares."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from schemas.sql.queries import WorkTable, query, work_query

Row = dict[str, Any]


class Claimed(NamedTuple):
    """A row that is held: the attempt's number, and how many count so far."""

    id: UUID
    attempt: int
    counted: int


def rows(conn: Connection, table: str, name: str, values: Mapping[str, object] | None = None) -> list[Row]:
    """Run a named query of `<table>.sql` that answers with rows."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query(table, name), values).fetchall()


def change(conn: Connection, table: str, name: str, values: Mapping[str, object] | None = None) -> int:
    """Run a named query that changes rows; how many."""
    return conn.execute(query(table, name), values).rowcount


def append_audit(
    conn: Connection,
    action: str,
    *,
    tenant: str | None = None,
    family: str | None = None,
    workflow_key: str | None = None,
    reason: str | None = None,
    details: Mapping[str, object] | None = None,
) -> int:
    """Tell the audit trail, in the caller's transaction; the row's number. No personal data in `details`."""
    about = {"tenant": tenant, "family": family, "workflow_key": workflow_key}
    [row] = rows(
        conn, "audit", "append_audit", {"action": action, **about, "reason": reason, "details": Jsonb(details or {})}
    )
    return int(row["number"])


def note_settings(conn: Connection, process: str, settings: Mapping[str, str]) -> None:
    """Tell the audit trail in what they differ from those of the process's last start."""
    rows(conn, "audit", "note_settings", {"process": process, "settings": Jsonb(settings)})


def lease(conn: Connection, table: WorkTable, *, seconds: float, batch: int) -> list[UUID]:
    """Due rows, taken for as long as their message may wait in the broker."""
    values = {"lease": seconds, "batch": batch}
    return [row[0] for row in conn.execute(work_query(table, "lease"), values).fetchall()]


def release(conn: Connection, table: WorkTable, ids: list[UUID]) -> None:
    """Give back rows whose message could not be sent."""
    conn.execute(work_query(table, "release"), {"ids": ids})


def claim(conn: Connection, table: WorkTable, row_id: UUID, *, seconds: float) -> Claimed | None:
    """Take a row up, or None where it is taken or settled."""
    taken = conn.execute(work_query(table, "claim"), {"id": row_id, "claim": seconds}).fetchone()
    return None if taken is None else Claimed(row_id, *taken)


def finish_sent(
    conn: Connection, delivery_id: UUID, *, attempt: int, status: int, seconds: float | None
) -> tuple[bool, Claimed | None]:
    """Settle a delivery that was taken, if this attempt still holds it; with seconds, claim the next in its place."""
    values = {"id": delivery_id, "attempt": attempt, "status": status, "more": seconds is not None, "claim": seconds}
    found = conn.execute(query("deliveries", "finish_sent"), values).fetchone()
    return found is not None, None if found is None or found[0] is None else Claimed(*found)


def retry(
    conn: Connection, table: WorkTable, row_id: UUID, *, attempt: int, delay: float, error: str, forgive: bool = False
) -> bool:
    """Put a row back for later, if this attempt still holds it; a forgiven attempt does not count."""
    values = {"id": row_id, "attempt": attempt, "delay": delay, "error": error, "forgive": int(forgive)}
    return conn.execute(work_query(table, "retry"), values).rowcount == 1


def finish(
    conn: Connection, table: WorkTable, row_id: UUID, *, attempt: int, state: str, error: str | None = None
) -> bool:
    """Settle a row, if this attempt still holds it."""
    values = {"id": row_id, "attempt": attempt, "state": state, "error": error}
    return conn.execute(work_query(table, "finish"), values).rowcount == 1
