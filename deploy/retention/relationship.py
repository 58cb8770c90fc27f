"""When a relationship with a customer ended: nothing here knows it, so somebody tells."""

from datetime import datetime

from psycopg import Connection

from deploy.erasure.subject import Subject
from workers import store


def end_relationship(conn: Connection, subject: Subject, *, ended_at: datetime) -> None:
    """Told again, the later word counts."""
    store.change(conn, "retention", "end_relationship", {**subject.values(), "ended_at": ended_at})
