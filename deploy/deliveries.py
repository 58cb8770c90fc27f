"""The command line's deliveries: what was sent to whom, what waits and for what; and sending it again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from psycopg import Connection
from rich.table import Table
from rich.text import Text

from deploy.json_types import as_json
from workers import store

log = structlog.get_logger()

STATES = ("pending", "delivered", "parked", "cancelled")
_HEADINGS = ("event", "type", "workflow", "seq", "to", "state", "tries", "status", "next or done", "why")


@dataclass(frozen=True)
class Chosen:
    """Which events, and whose; None is all."""

    event_id: UUID | None = None
    workflow_key: str | None = None
    subscription_id: UUID | None = None
    since: datetime | None = None
    destination: str | None = None


def read_deliveries(conn: Connection, chosen: Chosen, *, state: str | None, most: int) -> list[dict[str, Any]]:
    """The newest events' first, as JSON types."""
    found = store.rows(conn, "deliveries", "list_deliveries", {**asdict(chosen), "state": state, "most": most})
    return [as_json(row) for row in found]


def replay(conn: Connection, chosen: Chosen) -> int:
    """Send events again, with the ids that they have: how many deliveries.

    To subscribers that stand and want them or, where one is chosen, to a destination beside them.
    """
    again, anew = ("replay_sent", "replay_missed") if chosen.destination is None else ("put_again", "put_missed")
    with conn.transaction():
        sent = store.change(conn, "deliveries", again, asdict(chosen))
        missed = store.change(conn, "deliveries", anew, asdict(chosen))
        details = {"change": "replayed", "deliveries": sent + missed, **_named(chosen)}
        store.append_audit(conn, "subscription.changed", details=details)
        store.rows(conn, "callbacks", "wake_relay")
    log.info("delivery.replayed", again=sent, first_time=missed)
    return sent + missed


def render_deliveries(found: Sequence[dict[str, Any]]) -> Table:
    """The same for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        # Ids and URLs are there to be copied.
        table.add_column(heading, no_wrap=heading != "why", overflow="fold")
    for row in found:
        when = row["next_attempt_at"] or row["finished_at"] or ""
        why = f"held: {row['held']}" if row["held"] else ""
        cells = (
            row["event_id"],
            row["type"],
            row["workflow_key"],
            str(row["sequence"]),
            row["url"] or row["destination"],
            row["state"] + (f" (replay {row['replays']})" if row["replays"] else ""),
            str(row["attempts"]),
            str(row["last_status"] or ""),
            when[:19].replace("T", " "),
            "; ".join(filter(None, (why, row["last_error"]))),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _named(chosen: Chosen) -> dict[str, object]:
    return as_json({name.removesuffix("_id"): value for name, value in asdict(chosen).items() if value is not None})
