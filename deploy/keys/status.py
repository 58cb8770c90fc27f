"""How much each key still seals, and so which keys can be taken out of ENCRYPTION_KEYS."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import dict_row

from schemas.sealing import KeyRing
from schemas.sql.queries import SEALED, sealed_query
from workers import store


@dataclass(frozen=True)
class KeysStatus:
    """Ciphertexts by key id and kind; what receivers keep in spools, whose keys nobody here can see."""

    first: str
    ring: tuple[str, ...]
    sealed: dict[str, Counter[str]]
    spooled_rows: int
    damaged_files: int

    def advice(self) -> Iterator[str]:
        """A line for each key: what to do with it."""
        for key_id in dict.fromkeys((*self.ring, *sorted(self.sealed))):
            kinds = self.sealed.get(key_id, Counter())
            total = sum(kinds.values())
            if key_id == self.first:
                yield f"{key_id}: the first key; seals what is new"
            elif key_id not in self.ring:
                yield f"{key_id}: NOT in ENCRYPTION_KEYS, and {total} values need it: put it back"
            elif total:
                yield f"{key_id}: keep; {total} values need it. Run: jumio-pipeline keys rotate"
            elif self.spooled_rows or self.damaged_files:
                yield (
                    f"{key_id}: keep until spools are empty; {self.spooled_rows} callbacks wait in them, "
                    f"{self.damaged_files} files are set aside"
                )
            else:
                yield (
                    f"{key_id}: can be taken out (if it is not new, and to be the first), once every process has been "
                    f"restarted with {self.first} first, and the spool of every receiver that died is drained; keep it "
                    "elsewhere for as long as you keep backups of before"
                )


def read_keys_status(conn: Connection, keys: KeyRing) -> KeysStatus:
    """Count; it reads every sealed row once."""
    sealed: dict[str, Counter[str]] = {}
    for place, column in SEALED.items():
        with conn.cursor(row_factory=dict_row) as cursor:
            for row in cursor.execute(sealed_query(column, "count_by_key")):
                sealed.setdefault(row["key_id"], Counter())[place] += row["rows"]
    for row in store.rows(conn, "images", "count_by_key"):
        sealed.setdefault(row["key_id"], Counter())["images"] += row["rows"]
    [spools] = store.rows(conn, "keys", "count_spooled")
    return KeysStatus(keys.primary, keys.ids, sealed, spools["rows"], spools["damaged_files"])
