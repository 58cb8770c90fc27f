"""Leaves a subscriber that keeps failing in peace: its events wait, one a minute tries, and its return is noticed."""

from uuid import UUID

import structlog
from psycopg import Connection

from workers import store

log = structlog.get_logger()

# In a row, over all of its events and all workers: fewer may be the fault of one event.
STORM = 5
# What one probe a minute costs is a sixtieth of a sender; what it costs the subscriber's return is a minute.
PROBE_SECONDS = 60.0
# After a shorter outage each event's own schedule is near enough.
LONG_SECONDS = 300.0


def note_failure(conn: Connection, subscription_id: UUID, failure: str, *, retry_after: float | None) -> None:
    """Count a failure; at the fifth in a row the subscription is paused, and the operator told."""
    values = {
        "id": subscription_id,
        "failure": failure,
        "storm": STORM,
        "probe": PROBE_SECONDS,
        "retry_after": retry_after,
    }
    for row in store.rows(conn, "subscriptions", "note_failure", values):
        if row["failures"] == STORM:
            log.error("subscription.paused", subscription_id=str(subscription_id), reason=failure)


def note_success(conn: Connection, subscription_id: UUID) -> None:
    """It took an event: whatever was held for it goes out, in order."""
    for row in store.rows(conn, "subscriptions", "note_success", {"id": subscription_id}):
        hastened = 0
        if row["failures"] >= STORM and row["seconds"] >= LONG_SECONDS:
            hastened = store.change(conn, "deliveries", "hasten_deliveries", {"id": subscription_id})
        if row["failures"] >= STORM:
            log.warning(
                "subscription.recovered",
                subscription_id=str(subscription_id),
                seconds=round(row["seconds"]),
                hastened=hastened,
            )
