"""What Jumio sent that this release does not know: kinds, how often, and a masked example of each."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from rich.console import Group
from rich.table import Table
from rich.text import Text

from deploy.json_types import as_json
from workers import store

Row = dict[str, Any]

NOTHING = "nothing unknown has been seen"
_HEADINGS = ("what", "family", "tenant", "first seen", "last seen", "times", "example")


def read_drift(conn: Connection, *, days: int | None = None) -> list[Row]:
    """The kinds that were seen within so many days, or ever; the latest first; as JSON types."""
    return [as_json(row) for row in store.rows(conn, "drift", "list_drift", {"days": days})]


def read_totals(conn: Connection) -> list[Row]:
    """For each tenant and family: how many kinds, how often in all, and when the newest kind came (epoch)."""
    return store.rows(conn, "drift", "drift_totals")


def render_drift(found: Sequence[Row], totals: Sequence[Row]) -> Group | Text:
    """The same for people."""
    if not found:
        return Text(NOTHING)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        # Only the example may wrap: the rest is there to be copied.
        table.add_column(heading, no_wrap=heading != "example", overflow="fold")
    for row in found:
        first, last = (row[name][:16].replace("T", " ") for name in ("first_seen_at", "last_seen_at"))
        cells = (row["what"], row["family"], row["tenant"], first, last, str(row["times"]), row["example"])
        # As Text, because brackets of an example would be read as markup.
        table.add_row(*(Text(cell) for cell in cells))
    summary = [f"{row['tenant']}, {row['family']}: {row['kinds']} kinds, {row['times']:.0f} times" for row in totals]
    return Group(table, Text("\n".join(["", "ever seen:", *summary])))
