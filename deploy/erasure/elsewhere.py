"""What an erasure leaves to the line, which asks Jumio and clears the stream; and spools that are to be drained."""

import time
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

from psycopg import Connection

from deploy.erasure.subject import Kind
from workers import store

_LOOK_SECONDS = 0.2
_PLACES = {"jumio": "at Jumio", "stream": "on the event stream"}


@dataclass(frozen=True)
class Left:
    """What is still to come, and what will not come by itself; each a line for the operator."""

    to_come: list[str]
    given_up: list[str]


def wait_elsewhere(conn: Connection, erasure_id: UUID, kind: Kind, *, seconds: float) -> Left:
    """Give the line some time."""
    deadline = time.monotonic() + seconds
    while left := store.rows(conn, "deletions", "count_left", {"erasure_id": erasure_id}):
        if time.monotonic() > deadline or not any(row["state"] == "wanted" for row in left):
            break
        time.sleep(_LOOK_SECONDS)
    return Left(
        [*_waiting(left), *_unknown(left), *_spooled(conn, kind)],
        [_given_up(row) for row in left if row["state"] == "parked"],
    )


def _waiting(left: list[store.Row]) -> list[str]:
    counts = Counter[str]()
    for row in left:
        if row["state"] == "wanted":
            counts[row["place"]] += row["rows"]
    if not counts:
        return []
    places = ", ".join(f"{rows} {_PLACES[place]}" for place, rows in counts.items())
    return [f"left to the line: {places}; compliance.erasures says when it is done"]


def _unknown(left: list[store.Row]) -> list[str]:
    """Jumio's 404: as good as deleted, and what a wrong region answers as well."""
    return [f"Jumio had nothing of that name: {row['rows']} of its deletions" for row in left if row["state"] == "done"]


def _given_up(row: store.Row) -> str:
    return (
        f"NOT deleted {_PLACES[row['place']]}: {row['rows']}, {row['reason']}; mend that (the runbook, deletions are "
        f"parked), then: jumio-pipeline requeue --parked --reason {row['reason']}"
    )


def _spooled(conn: Connection, kind: Kind) -> list[str]:
    [spools] = store.rows(conn, "erasures", "count_spooled")
    if not spools["waiting"]:
        return []
    waiting = f"{spools['waiting']} callbacks wait in spools; "
    if kind != "user-reference":
        return [waiting + "any of this person is dropped when it is drained"]
    return [
        waiting
        + "those of the erased workflows and accounts are dropped when they are drained, but one of another id is "
        "not known as this reference's: once they are drained, erase it again"
    ]
