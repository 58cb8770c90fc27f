"""What has been taken: each event once, each workflow in order, in a file that survives the process.

Its statements stand here and not in schemas/sql: the folder is to be copied whole.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Event = dict[str, Any]

ERASED = "kyc.subject.erased.v1"
_TABLES = """
CREATE TABLE IF NOT EXISTS applied (
    id TEXT PRIMARY KEY, workflow TEXT NOT NULL, sequence INTEGER NOT NULL, type TEXT NOT NULL, outcome TEXT,
    via TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS applied_workflow ON applied (workflow, sequence);
CREATE TABLE IF NOT EXISTS held (
    id TEXT PRIMARY KEY, workflow TEXT NOT NULL, sequence INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT NOT NULL);
"""


class Inbox:
    """One process, one file. What your own system does with an event belongs into the transaction of `_apply`."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + _TABLES)
        self.repeats = 0

    def close(self) -> None:
        self._file.close()

    def take_delivery(self, event: Event) -> bool:
        """From a webhook: applied if it is the next of its workflow, else held. False: there is a gap before it."""
        with self._transaction():
            if self._is_known(event):
                self.repeats += 1
                return True
            last = self._last(event)
            if event["sequence"] > last + 1 and not self._is_erased(event):
                row = (event["id"], _workflow(event), event["sequence"], json.dumps(event))
                self._file.execute("INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?)", row)
                return False
            self._apply(event, "webhook")
            self._apply_held(event)
            return True

    def take_page(self, events: list[Event], cursor: str) -> None:
        """From the feed, which is in order for each workflow and leaves nothing out: what is missing is not to come."""
        with self._transaction():
            for event in events:
                if self._is_known(event):
                    continue
                self._apply(event, "feed")
                self._apply_held(event)
            self._file.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (cursor,))

    def cursor(self) -> str:
        """Where the feed has been read to; empty: nowhere yet."""
        found = self._file.execute("SELECT cursor FROM place").fetchone()
        return str(found[0]) if found else ""

    def forget_cursor(self) -> None:
        """Begin the feed again: what is known by its id is passed over."""
        self._file.execute("DELETE FROM place")

    def gaps(self) -> int:
        """How many events wait for one before them."""
        [count] = self._file.execute("SELECT count(*) FROM held").fetchone()
        return int(count)

    def applied(self) -> list[tuple[str, int, str, str]]:
        """Workflow, sequence, outcome and whence, in the order in which they were applied."""
        return self._file.execute("SELECT workflow, sequence, outcome, via FROM applied ORDER BY rowid").fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    def _is_known(self, event: Event) -> bool:
        return self._file.execute("SELECT 1 FROM applied WHERE id = ?", (event["id"],)).fetchone() is not None

    def _is_erased(self, event: Event) -> bool:
        statement = "SELECT 1 FROM applied WHERE workflow = ? AND type = ?"
        return self._file.execute(statement, (_workflow(event), ERASED)).fetchone() is not None

    def _last(self, event: Event) -> int:
        rows = self._file.execute("SELECT max(sequence) FROM applied WHERE workflow = ?", (_workflow(event),))
        return int(rows.fetchone()[0] or 0)

    def _apply(self, event: Event, via: str) -> None:
        """Here your system does what the event asks for: in this transaction, so that it happens once."""
        # What comes after a later one, or after the end, is known from now on and changes nothing that was concluded.
        late = event["sequence"] <= self._last(event) or self._is_erased(event)
        outcome = None if late else event["data"].get("outcome")
        row = (event["id"], _workflow(event), event["sequence"], event["type"], outcome, via)
        self._file.execute("INSERT INTO applied VALUES (?, ?, ?, ?, ?, ?)", row)
        self._file.execute("DELETE FROM held WHERE id = ?", (event["id"],))
        if event["type"] == ERASED:
            # Ids and numbers stay, so that a repeat is still known for one.
            self._file.execute("UPDATE applied SET outcome = NULL WHERE workflow = ?", (_workflow(event),))
            self._file.execute("DELETE FROM held WHERE workflow = ?", (_workflow(event),))

    def _apply_held(self, event: Event) -> None:
        """Those that waited for this one, as far as they follow without a gap."""
        sequence = event["sequence"]
        while found := self._file.execute(
            "SELECT body FROM held WHERE workflow = ? AND sequence = ?", (_workflow(event), sequence := sequence + 1)
        ).fetchone():
            self._apply(json.loads(found[0]), "webhook")


def _workflow(event: Event) -> str:
    """The subject alone is not enough: two tenants may have the same."""
    data = event["data"]
    return f"{data['tenant']}/{data['family']}/{event['subject']}"
