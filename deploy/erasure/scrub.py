"""Bytes of deleted rows out of Postgres's files and out of the event stream, as far as those can do it."""

import psycopg
from psycopg import Connection
from psycopg.errors import Diagnostic

from schemas.settings import Settings
from schemas.sql.queries import query
from workers.destinations.stream import EventStream
from workers.errors import StreamAwayError


def scrub(conn: Connection) -> list[str]:
    """Rewrite the tables without their deleted rows; what could not be done, and what holds bytes still.

    Each table is locked while it is rewritten: receivers spool meanwhile, workers wait.
    """
    skipped: list[Diagnostic] = []
    conn.add_notice_handler(skipped.append)
    conn.execute(query("scrub", "rewrite_tables"))
    conn.execute(query("scrub", "rewrite_statistics"))
    conn.remove_notice_handler(skipped.append)
    left = []
    if skipped:
        # Postgres passes over what a login may not rewrite, with a warning for each.
        left.append(f"{len(skipped)} tables are as they were: only their owner may rewrite them")
    try:
        conn.execute(query("scrub", "switch_wal"))
        conn.execute(query("scrub", "checkpoint"))
    except psycopg.errors.InsufficientPrivilege:
        left.append("this login may neither switch WAL segments nor checkpoint: both come by themselves in time")
    left.append(
        "old WAL segments hold what was written until Postgres overwrites them, or removes them where wal_recycle was "
        "off before; WAL archives, replicas, backups and the blocks of deleted files are yours to age out"
    )
    return left


def scrub_stream(settings: Settings) -> str | None:
    """Write the event stream anew, without what was taken off it; what to know about it, where there is one."""
    if not EventStream.enabled(settings):
        return None
    stream = EventStream(settings)
    try:
        stream.rewrite()
    except StreamAwayError as error:
        return f"the event stream is as it was ({error}): scrub again when Redis answers"
    finally:
        stream.close()
    return (
        "the event stream was written anew, and an append-only file is being; a snapshot of Redis holds the old one "
        "until the next"
    )
