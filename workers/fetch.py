"""stored -> fetched: reads what the callback is about, and asks Jumio; then decides and records."""

from uuid import UUID

import structlog
from psycopg import Connection

from schemas.callbacks import kyx as kyx_callback
from schemas.callbacks.callback import Callback
from schemas.callbacks.recognise import read_callback
from schemas.report import Report
from schemas.sealing import KeyRing
from workers import store
from workers.decide import decide
from workers.emit import Outlet
from workers.errors import JumioNotFoundError, JumioNotReadyError
from workers.jumio.client import Jumio
from workers.jumio.kyx import expired_report, read_report
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
    report = ask(conn, jumio[row["tenant"]], callback)
    if report is None:
        record_underway(conn, reading, callback, rank=_RANK)
    else:
        record(conn, reading, report, decide(report), keys=keys, outlet=outlet)


def ask(conn: Connection, jumio: Jumio, callback: Callback) -> Report | None:
    """Jumio's own word on the transaction; None while it is underway.

    Raises JumioNotReadyError where the callback says that it is done and Jumio does not (yet).
    """
    if callback.stage == "underway":
        return None
    if callback.stage == "unknown" or callback.status in kyx_callback.EXPIRED:
        return _ask_status_first(conn, jumio, callback)
    return _details(conn, jumio, callback)


def _ask_status_first(conn: Connection, jumio: Jumio, callback: Callback) -> Report | None:
    """Of an expired workflow there may be no details (protocol.md C.5), and a new word may mean anything."""
    ids = {"account_id": callback.account_id, "workflow_key": callback.workflow_key}
    document = jumio.status(conn, callback.account_id, callback.workflow_key)
    workflow = document.get("workflowExecution")
    status = workflow.get("status") if isinstance(workflow, dict) else None
    if status not in kyx_callback.FINAL:
        if callback.stage == "final":
            raise JumioNotReadyError("the status call does not call it final yet")
        return None
    try:
        return _details(conn, jumio, callback)
    except JumioNotFoundError:
        if status not in kyx_callback.EXPIRED:
            raise
        return expired_report(document, **ids)


def _details(conn: Connection, jumio: Jumio, callback: Callback) -> Report:
    details = jumio.details(conn, callback.account_id, callback.workflow_key)
    steps = jumio.steps(conn, callback.account_id, callback.workflow_key)
    report = read_report(details, steps, account_id=callback.account_id, workflow_key=callback.workflow_key)
    if report.oddities:
        log.warning("report.odd", workflow_key=callback.workflow_key, oddities=report.oddities[:20])
    if not report.final:
        raise JumioNotReadyError("the details do not call it final yet")
    return report


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
