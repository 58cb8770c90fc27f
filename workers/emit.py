"""A change -> an event and one delivery a subscriber, in the transaction of the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection
from uuid_utils.compat import uuid7

from schemas.events.envelope import EventType, envelope
from workers import store


@dataclass(frozen=True)
class Outlet:
    """Where events go besides the subscribers, and the name they carry."""

    source: str
    destinations: tuple[str, ...]


def emit(
    conn: Connection, event_type: EventType, *, key: Mapping[str, str], data: Mapping[str, Any], outlet: Outlet
) -> None:
    """Write the event that comes next for this workflow. The caller holds the workflow's row and the transaction."""
    [counted] = store.rows(conn, "workflows", "next_sequence", key)
    sequence = counted["last_sequence"]
    event_id, occurred_at = uuid7(), datetime.now(UTC)
    body = envelope(
        event_id,
        event_type,
        source=outlet.source,
        subject=key["workflow_key"],
        sequence=sequence,
        occurred_at=occurred_at,
        data={**key, **data},
    )
    event = {**key, "id": event_id, "sequence": sequence, "type": event_type, "occurred_at": occurred_at, "body": body}
    store.change(conn, "events", "insert_event", event)
    wanted = {"event_id": event_id, "destinations": list(outlet.destinations)}
    store.change(conn, "deliveries", "insert_deliveries", wanted)
