"""What an erasure leaves to the line, which asks Jumio and clears the stream; and spools that are to be drained."""

import time
from uuid import UUID

from psycopg import Connection

from workers import store

_LOOK_SECONDS = 0.2
_PLACES = {"jumio": "at Jumio", "stream": "on the event stream"}


def wait_elsewhere(conn: Connection, erasure_id: UUID, *, seconds: float) -> list[str]:
    """Give the line some time; what is still to come, each a line for the operator."""
    deadline = time.monotonic() + seconds
    while waiting := store.rows(conn, "deletions", "count_wanted", {"erasure_id": erasure_id}):
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_SECONDS)
    lines = []
    if waiting:
        counts = ", ".join(f"{row['rows']} {_PLACES[row['place']]}" for row in waiting)
        lines.append(f"left to the line: {counts}; compliance.erasures says when it is done")
    [spools] = store.rows(conn, "erasures", "count_spooled")
    if spools["waiting"]:
        lines.append(f"{spools['waiting']} callbacks wait in spools; any of this person is dropped when it is drained")
    return lines
