"""What operators told about a subject, ends and released holds: it goes with the last workflow."""

from collections import Counter
from collections.abc import Iterable

from psycopg import Connection

from deploy.erasure.subject import Kind
from workers import store


def delete_words(conn: Connection, tenant: str, subjects: Iterable[tuple[Kind, str | None]]) -> Counter[str]:
    """Of those subjects of which no workflow is left."""
    deleted = Counter[str]()
    for kind, name in sorted({(kind, name) for kind, name in subjects if name}):
        values = {"tenant": tenant, "kind": kind, "subject": name}
        deleted["relationship_ends"] += store.change(conn, "erasures", "delete_words_of", values)
        deleted["holds"] += store.change(conn, "erasures", "delete_released_holds", values)
    return deleted
