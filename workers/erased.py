"""A callback of somebody who was erased: its row goes, and that it came is counted, nothing else."""

from uuid import UUID

import structlog
from psycopg import Connection

from schemas.callbacks.callback import Callback
from workers import store

log = structlog.get_logger()


def is_erased(conn: Connection, tenant: str, callback: Callback) -> bool:
    """Whether the workflow, or its whole account, was erased. One that is erased from now on is refused by Postgres."""
    [answer] = store.rows(conn, "erasures", "is_erased", _subject(tenant, callback))
    return bool(answer["erased"])


def drop_erased(conn: Connection, callback_id: UUID, tenant: str, callback: Callback) -> None:
    """Delete the callback, unless the erasure has; a repeat of this changes nothing."""
    values = {**_subject(tenant, callback), "callback_id": callback_id}
    [answer] = store.rows(conn, "erasures", "drop_erased", values)
    if answer["dropped"]:
        log.info("callback.erased")


def _subject(tenant: str, callback: Callback) -> dict[str, str]:
    return {"tenant": tenant, "workflow_key": callback.workflow_key, "account_id": callback.account_id}
