"""wanted -> done: what an erasure has still to do elsewhere: Jumio deletes, and the stream's entries go."""

from uuid import UUID

import structlog
from psycopg import Connection

from schemas.callbacks.recognise import LEGACY
from schemas.settings import JUMIO_RETRY_SECONDS
from workers import store
from workers.errors import JumioNotFoundError, NoCredentialsError
from workers.tenants import tenant_of
from workers.tools import Tools

log = structlog.get_logger()

# Jumio's own schedule, then daily for a week: an erasure is due within a month, and nobody waits for this row.
RETRY_SECONDS = (*JUMIO_RETRY_SECONDS, *(86_400.0,) * 7)


def forget(conn: Connection, deletion_id: UUID, *, attempt: int, tools: Tools) -> None:
    """Do it, and forget whom it was about. Raises LineError."""
    found = store.rows(conn, "deletions", "get_deletion", {"id": deletion_id})
    if not found:
        return
    [row] = found
    if row["place"] == "stream":
        tools.destinations.others[row["place"]].remove(tenant=row["tenant"], subject=row["workflow_key"])
        answer = "deleted"
    else:
        answer = _ask_jumio(conn, row, tools)
    if store.change(conn, "deletions", "finish_deletion", {"id": deletion_id, "attempt": attempt, "answer": answer}):
        log.info("deletion.done", place=row["place"], answer=answer)


def _ask_jumio(conn: Connection, row: store.Row, tools: Tools) -> str:
    """`unknown` is as good as deleted: it aged out, or an earlier attempt deleted it and its answer was lost."""
    try:
        if row["family"] in LEGACY:
            legacy = tenant_of(tools.legacy, row["tenant"])
            if not legacy.enabled:
                raise NoCredentialsError
            legacy.delete(conn, LEGACY[row["family"]], row["workflow_key"])
        else:
            tenant_of(tools.jumio, row["tenant"]).delete(conn, row["account_id"], row["workflow_key"])
    except JumioNotFoundError:
        return "unknown"
    return "deleted"
