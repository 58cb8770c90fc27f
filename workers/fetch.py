"""stored -> fetched: reads what the callback is about, and asks Jumio; then decides and records."""

from uuid import UUID

import structlog
from psycopg import Connection

from schemas.callbacks import kyx as kyx_callback
from schemas.callbacks.callback import Callback
from schemas.callbacks.recognise import read_callback
from schemas.sealing import KeyRing
from workers import store
from workers.ask.kyx import ask_kyx
from workers.decide import decide
from workers.emit import Outlet
from workers.jumio.client import Jumio
from workers.record import Reading, record, record_underway

log = structlog.get_logger()

_RANK = {status: rank for rank, status in enumerate(kyx_callback.UNDERWAY)}


def fetch(
    conn: Connection, jumio: dict[str, Jumio], callback_id: UUID, *, attempt: int, keys: KeyRing, outlet: Outlet
) -> None:
    """Take one callback to its verdict. Raises LineError, UnreadableCallbackError or UnsealError."""
    [row] = store.rows(conn, "callbacks", "get_callback", {"id": callback_id})
    callback = read_callback(keys.unseal(row["sealed_body"], place=f"callbacks.body/{callback_id}"))
    _describe(conn, callback_id, callback)
    if _is_finished_repeat(conn, callback_id, callback, row):
        store.finish(
            conn, "callbacks", callback_id, attempt=attempt, state="done", error="repeat: the same callback is done"
        )
        log.info("callback.repeated", workflow_key=callback.workflow_key)
        return

    reading = Reading(callback_id, attempt, row["tenant"], revision=_revision(conn, row["tenant"], callback))
    report = ask_kyx(conn, jumio[row["tenant"]], callback)
    if report is None:
        record_underway(conn, reading, callback, rank=_RANK)
        return
    if report.oddities:
        log.warning("report.odd", workflow_key=report.workflow_key, oddities=report.oddities[:20])
    record(conn, reading, report, decide(report), keys=keys, outlet=outlet)


def _describe(conn: Connection, callback_id: UUID, callback: Callback) -> None:
    store.change(
        conn,
        "callbacks",
        "describe_callback",
        {
            "id": callback_id,
            "family": callback.family,
            "workflow_key": callback.workflow_key,
            "account_id": callback.account_id,
            "status": callback.status,
            "sent_at": callback.sent_at,
        },
    )


def _is_finished_repeat(conn: Connection, callback_id: UUID, callback: Callback, row: store.Row) -> bool:
    [answer] = store.rows(
        conn,
        "callbacks",
        "is_finished_repeat",
        {
            "id": callback_id,
            "tenant": row["tenant"],
            "workflow_key": callback.workflow_key,
            "family": callback.family,
            "status": callback.status,
            "sha256": row["sha256"],
        },
    )
    return bool(answer["exists"])


def _revision(conn: Connection, tenant: str, callback: Callback) -> int:
    key = {"tenant": tenant, "family": callback.family, "workflow_key": callback.workflow_key}
    [row] = store.rows(conn, "workflows", "get_revision", key)
    return int(row["revision"])
