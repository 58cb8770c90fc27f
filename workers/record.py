"""decided -> written: report, verdict version, checks, steps, identity, images and event, in one transaction."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection, DatabaseError
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from schemas.callbacks.callback import Callback
from schemas.events.data import event_data
from schemas.events.envelope import EventType
from schemas.report import Report
from schemas.sealing import KeyRing
from schemas.verdict import Verdict
from workers import store
from workers.emit import Outlet, emit
from workers.errors import BusyError, ErasedError

log = structlog.get_logger()

Key = Mapping[str, str]
# Raised by the trigger workflows_stay_erased.
_ERASED = "JPERA"


@dataclass(frozen=True)
class Reading:
    """One attempt at one callback, and the workflow's revision from which it started.

    `read_again_in`: seconds after which a report that Jumio has not finished is worth reading again, or None.
    """

    callback_id: UUID
    attempt: int
    tenant: str
    revision: int
    read_again_in: float | None = None


def record(
    conn: Connection, reading: Reading, report: Report, verdict: Verdict, *, keys: KeyRing, outlet: Outlet
) -> None:
    """Write what was concluded, once.

    Raises BusyError where someone wrote a newer reading meanwhile, and ErasedError where the person was erased.
    """
    key = {"tenant": reading.tenant, "family": report.family, "workflow_key": report.workflow_key}
    with conn.transaction():
        workflow = _take(conn, key, report, reading)
        if workflow is None:
            return
        digest = hashlib.sha256(report.raw).digest()
        if digest == workflow["report_digest"]:
            return

        report_id = _insert_report(conn, key, report, reading, digest=digest, keys=keys)
        changed = verdict.digest() != workflow["verdict_digest"]
        version = workflow["verdict_version"] + changed
        decided_at = datetime.now(UTC)
        conclusion = {**key, **_conclusion(report, verdict, workflow), "version": version, "decided_at": decided_at}
        if changed:
            _insert_verdict(conn, conclusion, report, reading, report_id=report_id, digest=verdict.digest())
        store.change(conn, "workflows", "conclude_workflow", {**conclusion, "report_id": report_id})
        _want_images(conn, key, report)
        if changed:
            event_type = _event_type(verdict, version)
            data = event_data(event_type, {**key, **_event_values(conclusion, verdict)})
            emit(conn, event_type, key=key, data=data, outlet=outlet)
        store.rows(conn, "callbacks", "wake_relay")
    if changed:
        log.info("verdict.recorded", workflow_key=report.workflow_key, outcome=verdict.outcome, version=version)


def record_underway(conn: Connection, reading: Reading, callback: Callback, *, rank: Mapping[str, int]) -> None:
    """Keep a status that comes before the final one; it never goes back, and never takes a verdict back.

    Raises ErasedError.
    """
    key = {"tenant": reading.tenant, "family": callback.family, "workflow_key": callback.workflow_key}
    with conn.transaction():
        workflow = _open(conn, key, account_id=callback.account_id, status=callback.status)
        if not store.finish(conn, "callbacks", reading.callback_id, attempt=reading.attempt, state="done"):
            return
        latest = len(rank)
        if rank.get(callback.status, latest) > rank.get(workflow["status"], latest):
            store.change(conn, "workflows", "advance_status", {**key, "status": callback.status})


def _take(conn: Connection, key: Key, report: Report, reading: Reading) -> store.Row | None:
    """The workflow's row, held until the end, if this attempt is the one that may write."""
    workflow = _open(conn, key, account_id=report.account_id, status=report.status)
    if workflow["revision"] != reading.revision:
        raise BusyError("another worker recorded a newer reading; reading again")
    return workflow if _settle(conn, report, reading) else None


def _open(conn: Connection, key: Key, *, account_id: str, status: str) -> store.Row:
    """The workflow's row, new if need be, held. An erasure that is under way is waited for. Raises ErasedError."""
    try:
        store.change(conn, "workflows", "open_workflow", {**key, "account_id": account_id, "status": status})
    except DatabaseError as error:
        if error.sqlstate == _ERASED:
            raise ErasedError from None
        raise
    [workflow] = store.rows(conn, "workflows", "lock_workflow", key)
    return workflow


def _settle(conn: Connection, report: Report, reading: Reading) -> bool:
    """The callback is done with, unless Jumio is not."""
    if not report.provisional or reading.read_again_in is None:
        return store.finish(conn, "callbacks", reading.callback_id, attempt=reading.attempt, state="done")
    return store.retry(
        conn,
        "callbacks",
        reading.callback_id,
        attempt=reading.attempt,
        delay=reading.read_again_in,
        error="provisional: decided, but Jumio still searches; it is read again",
        forgive=True,
    )


def _insert_report(
    conn: Connection, key: Key, report: Report, reading: Reading, *, digest: bytes, keys: KeyRing
) -> UUID:
    report_id = uuid7()
    sealed = keys.seal_text(report.raw, place=f"reports.sealed/{report_id}")
    store.change(
        conn,
        "workflows",
        "insert_report",
        {
            **key,
            "id": report_id,
            "callback_id": reading.callback_id,
            "digest": digest,
            "bytes": len(report.raw),
            "sealed": sealed,
        },
    )
    for position, check in enumerate(report.checks):
        values = {**asdict(check), "credential_ids": list(check.credential_ids)}
        store.change(conn, "workflows", "insert_check", {**values, "report_id": report_id, "position": position})
    for position, step in enumerate(report.steps):
        store.change(conn, "workflows", "insert_step", {**asdict(step), "report_id": report_id, "position": position})
    for position, identity in enumerate(report.identities):
        values = {**asdict(identity), "report_id": report_id, "position": position}
        store.change(conn, "workflows", "insert_identity", values)
    return report_id


def _conclusion(report: Report, verdict: Verdict, workflow: store.Row) -> dict[str, Any]:
    """What Jumio leaves out of a later report is what it said before."""
    return {
        "account_id": report.account_id or workflow["account_id"],
        "user_reference": report.user_reference or workflow["user_reference"],
        "customer_reference": report.customer_reference or workflow["customer_reference"],
        "status": report.status,
        "definition_key": report.definition_key,
        "started_at": report.started_at,
        "completed_at": report.completed_at,
        "outcome": verdict.outcome,
        "label": verdict.label,
        "risk_score": verdict.risk_score,
        "rests_on": verdict.rests_on,
        "reasons": Jsonb([asdict(reason) for reason in verdict.reasons]),
    }


def _insert_verdict(
    conn: Connection, conclusion: Mapping[str, Any], report: Report, reading: Reading, *, report_id: UUID, digest: bytes
) -> None:
    # A first verdict is true since Jumio finished; when a revised one became true Jumio does not say.
    finished = report.completed_at if conclusion["version"] == 1 else None
    store.change(
        conn,
        "workflows",
        "insert_verdict",
        {
            **conclusion,
            "valid_from": finished or conclusion["decided_at"],
            "digest": digest,
            "callback_id": reading.callback_id,
            "report_id": report_id,
        },
    )


def _want_images(conn: Connection, key: Key, report: Report) -> None:
    for part in report.parts:
        store.change(
            conn, "images", "want_image", {**key, **asdict(part), "id": uuid7(), "account_id": report.account_id}
        )


def _event_type(verdict: Verdict, version: int) -> EventType:
    if version > 1:
        return "kyc.workflow.changed.v1"
    return "kyc.workflow.expired.v1" if verdict.outcome == "expired" else "kyc.workflow.decided.v1"


def _event_values(conclusion: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    return {
        **{name: conclusion[name] for name in ("account_id", "user_reference", "customer_reference", "status")},
        "outcome": verdict.outcome,
        "label": verdict.label,
        "risk_score": verdict.risk_score,
        "verdict_version": conclusion["version"],
        "decided_at": conclusion["decided_at"],
        "checks": [
            {"name": check.capability, "outcome": check.outcome, "label": check.label} for check in verdict.checks
        ],
    }
