"""When a relationship with a customer ended: nothing here knows it, so somebody tells, and it is told who did."""

from datetime import datetime

from psycopg import Connection

from deploy.erasure.reason import require_reason
from deploy.erasure.subject import Subject, SubjectError
from workers import store


def end_relationship(conn: Connection, subject: Subject, *, ended_at: datetime, reason: str) -> int:
    """Told again, the later word counts. The clock of how many workflows started then. Raises SubjectError."""
    with conn.transaction():
        reason = require_reason(conn, subject, reason)
        store.change(conn, "retention", "end_relationship", {**subject.values(), "ended_at": ended_at})
        [counted] = store.rows(conn, "retention", "count_ended", subject.values())
        ended = {"on": f"{ended_at:%Y-%m-%d}", "workflows": counted["workflows"]}
        _audit(conn, "relationship.ended", subject, reason, ended)
    return int(counted["workflows"])


def resume_relationship(conn: Connection, subject: Subject, *, reason: str) -> None:
    """It did not end: what was told is taken back, and the clock stands still. Raises SubjectError."""
    with conn.transaction():
        reason = require_reason(conn, subject, reason)
        if not store.change(conn, "retention", "resume_relationship", subject.values()):
            raise SubjectError(f"of this {subject.kind} in tenant {subject.tenant} no end was told")
        _audit(conn, "relationship.resumed", subject, reason, {})


def _audit(conn: Connection, action: str, subject: Subject, reason: str, details: dict[str, object]) -> None:
    # Not the subject: it may be a reference of the person, and this row is never deleted.
    told = {"kind": subject.kind, **details}
    store.append_audit(conn, action, tenant=subject.tenant, reason=reason, details=told)
