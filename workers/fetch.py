"""stored -> fetched: reads what the callback is about, and asks Jumio; then decides and records."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from psycopg import Connection

from schemas.callbacks.callback import Callback, UnreadableCallbackError
from schemas.callbacks.recognise import LEGACY, read_callback
from schemas.report import Report
from schemas.verdict import Verdict
from workers import store
from workers.ask.kyx import ask_kyx
from workers.ask.legacy import ask_legacy
from workers.decide import decide
from workers.drift import note_drift
from workers.erased import drop_erased, is_erased
from workers.errors import ErasedError
from workers.record import Reading, record, record_underway
from workers.tenants import tenant_of
from workers.tools import Tools

log = structlog.get_logger()

# Of all generations, in the order of a journey.
_WAY = ("INITIATED", "CREATED", "ACQUISITION_STARTED", "STARTED", "ACQUIRED", "PENDING")
_RANK = {status: rank for rank, status in enumerate(_WAY)}
# A face search that has not ended in a day will not.
_READ_AGAIN_FOR = timedelta(days=1)
_READ_AGAIN_SHARE = 0.1


def fetch(conn: Connection, callback_id: UUID, *, attempt: int, tools: Tools) -> None:
    """Take one callback to its verdict, or drop it where the person was erased.

    Raises LineError, UnreadableCallbackError or UnsealError.
    """
    found = store.rows(conn, "callbacks", "get_callback", {"id": callback_id})
    if not found:
        return
    callback, body = _read(conn, callback_id, found[0], tools)
    if is_erased(conn, found[0]["tenant"], callback):
        drop_erased(conn, callback_id, found[0]["tenant"], callback)
        return
    _describe(conn, callback_id, callback)
    try:
        _conclude(conn, callback_id, found[0], callback, body, attempt=attempt, tools=tools)
    except ErasedError:
        drop_erased(conn, callback_id, found[0]["tenant"], callback)


def _conclude(
    conn: Connection,
    callback_id: UUID,
    row: store.Row,
    callback: Callback,
    body: bytes,
    *,
    attempt: int,
    tools: Tools,
) -> None:
    if _is_finished_repeat(conn, callback_id, callback, row):
        _pass_over(conn, callback_id, attempt, "repeat: the same callback is done")
        log.info("callback.repeated", workflow_key=callback.workflow_key)
        return

    reading = _reading(conn, callback_id, row, callback, attempt=attempt, tools=tools)
    _note_what_is_new(conn, callback, body, row["tenant"])
    found = _ask(conn, callback, row["tenant"], tools)
    if found is None:
        record_underway(conn, reading, callback, rank=_RANK)
        return
    report, verdict = found
    if verdict.rests_on == "callback" and _is_outdated(conn, callback_id):
        # The retrieval API shows what is true now; a callback alone only what was true when it was sent.
        _pass_over(conn, callback_id, attempt, "outdated: a later callback of the transaction has decided")
        return
    note_drift(conn, row["tenant"], report.family, report.oddities, example=report.raw)
    record(conn, reading, report, verdict, keys=tools.settings.keys, outlet=tools.outlet)


def _pass_over(conn: Connection, callback_id: UUID, attempt: int, why: str) -> None:
    store.finish(conn, "callbacks", callback_id, attempt=attempt, state="done", error=why)


def _reading(
    conn: Connection, callback_id: UUID, row: store.Row, callback: Callback, *, attempt: int, tools: Tools
) -> Reading:
    return Reading(
        callback_id,
        attempt,
        row["tenant"],
        revision=_revision(conn, row["tenant"], callback),
        read_again_in=_read_again_in(row["received_at"], tools.settings.jumio_retry_seconds),
    )


def _read(conn: Connection, callback_id: UUID, row: store.Row, tools: Tools) -> tuple[Callback, bytes]:
    body = tools.settings.keys.unseal(row["sealed_body"], place=f"callbacks.body/{callback_id}")
    try:
        callback = read_callback(body)
    except UnreadableCallbackError as error:
        note_drift(conn, row["tenant"], "unknown", error.oddities, example=body)
        raise
    return callback, body


def _describe(conn: Connection, callback_id: UUID, callback: Callback) -> None:
    store.change(
        conn,
        "callbacks",
        "describe_callback",
        {
            "id": callback_id,
            "family": callback.family,
            "workflow_key": callback.workflow_key,
            "account_id": callback.account_id or None,
            "status": callback.status,
            "sent_at": callback.sent_at,
        },
    )


def _note_what_is_new(conn: Connection, callback: Callback, body: bytes, tenant: str) -> None:
    """In the callback itself: what the retrieval API shows later may know nothing of it."""
    told = callback.told.oddities if callback.told else ()
    status = (f"unknown_status:{callback.status}",) if callback.stage == "unknown" else ()
    example = callback.told.raw if callback.told else body
    note_drift(conn, tenant, callback.family, [*callback.oddities, *told, *status], example=example)


def _ask(conn: Connection, callback: Callback, tenant: str, tools: Tools) -> tuple[Report, Verdict] | None:
    """What Jumio says and what we conclude; None while the transaction is underway."""
    if callback.family in LEGACY:
        return ask_legacy(conn, tenant_of(tools.legacy, tenant), callback, LEGACY[callback.family])
    report = ask_kyx(conn, tenant_of(tools.jumio, tenant), callback)
    return None if report is None else (report, decide(report))


def _read_again_in(received_at: datetime, schedule: Sequence[float]) -> float | None:
    """Seconds until a report that Jumio has not finished is worth another reading: ever longer, for a day."""
    age = datetime.now(UTC) - received_at
    if age > _READ_AGAIN_FOR:
        return None
    return max(schedule[0] if schedule else 0.0, age.total_seconds() * _READ_AGAIN_SHARE)


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


def _is_outdated(conn: Connection, callback_id: UUID) -> bool:
    [answer] = store.rows(conn, "callbacks", "is_outdated", {"id": callback_id})
    return bool(answer["exists"])


def _revision(conn: Connection, tenant: str, callback: Callback) -> int:
    key = {"tenant": tenant, "family": callback.family, "workflow_key": callback.workflow_key}
    [row] = store.rows(conn, "workflows", "get_revision", key)
    return int(row["revision"])
