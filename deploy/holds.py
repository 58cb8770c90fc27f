"""Legal holds: while one stands, neither retention nor an erasure deletes anything of its subject."""

from psycopg import Connection
from uuid_utils.compat import uuid7

from deploy.erasure.reason import require_reason
from deploy.erasure.subject import Subject, SubjectError
from workers import store


def place(conn: Connection, subject: Subject, *, reason: str) -> int:
    """From now on; waits for a deletion that is under way. How many workflows it covers now. Raises SubjectError."""
    reason = require_reason(conn, subject, reason)
    hold_id = uuid7()
    with conn.transaction():
        store.rows(conn, "erasures", "wait_a_minute")
        store.change(conn, "holds", "lock_holds")
        if not store.change(conn, "holds", "place_hold", {**subject.values(), "id": hold_id, "reason": reason}):
            raise SubjectError("there is such a hold already; see: jumio-pipeline holds list")
        _audit(conn, "hold.placed", subject, str(hold_id), reason)
        return len(store.rows(conn, "erasures", "workflows_of", subject.values()))


def release(conn: Connection, subject: Subject, *, reason: str) -> None:
    """End it; what is due is deleted by the next run. Raises SubjectError."""
    reason = require_reason(conn, subject, reason)
    with conn.transaction():
        released = store.rows(conn, "holds", "release_hold", subject.values())
        if not released:
            raise SubjectError("no such hold stands; see: jumio-pipeline holds list")
        _audit(conn, "hold.released", subject, str(released[0]["id"]), reason)


def list_all(conn: Connection) -> list[store.Row]:
    """Those that stand, oldest first, and how many workflows each protects now."""
    return store.rows(conn, "holds", "list_holds")


def _audit(conn: Connection, action: str, subject: Subject, hold_id: str, reason: str) -> None:
    # Not the subject: it may be a reference of the person, and this row is never deleted.
    details = {"hold": hold_id, "kind": subject.kind}
    store.append_audit(conn, action, tenant=subject.tenant, reason=reason, details=details)
