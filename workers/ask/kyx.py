"""KYX: the callback holds no result, so everything is read (KYX and retrieval guides)."""

import structlog
from psycopg import Connection

from schemas.callbacks.callback import Callback
from schemas.callbacks.kyx import EXPIRED, FINAL
from schemas.report import Report
from workers.errors import JumioNotFoundError, JumioNotReadyError
from workers.jumio.client import Jumio
from workers.jumio.kyx import expired_report, read_report

log = structlog.get_logger()


def ask_kyx(conn: Connection, jumio: Jumio, callback: Callback) -> Report | None:
    """Jumio's own word on the workflow; None while it is underway.

    Raises JumioNotReadyError where the callback says that it is done and Jumio does not (yet).
    """
    if callback.stage == "underway":
        return None
    if callback.stage == "unknown" or callback.status in EXPIRED:
        return _ask_status_first(conn, jumio, callback)
    return _details(conn, jumio, callback)


def _ask_status_first(conn: Connection, jumio: Jumio, callback: Callback) -> Report | None:
    """Of an expired workflow there may be no details (retrieval guide), and a new word may mean anything."""
    document = jumio.status(conn, callback.account_id, callback.workflow_key)
    workflow = document.get("workflowExecution")
    status = workflow.get("status") if isinstance(workflow, dict) else None
    if status not in FINAL:
        if callback.stage == "final":
            raise JumioNotReadyError("the status call does not call it final yet")
        return None
    try:
        return _details(conn, jumio, callback)
    except JumioNotFoundError:
        if status not in EXPIRED:
            raise
        return expired_report(document, account_id=callback.account_id, workflow_key=callback.workflow_key)


def _details(conn: Connection, jumio: Jumio, callback: Callback) -> Report:
    details = jumio.details(conn, callback.account_id, callback.workflow_key)
    steps = jumio.steps(conn, callback.account_id, callback.workflow_key)
    report = read_report(details, steps, account_id=callback.account_id, workflow_key=callback.workflow_key)
    if not report.final:
        raise JumioNotReadyError("the details do not call it final yet")
    return report
