"""Seals everything anew under the first key of ENCRYPTION_KEYS, in batches, while everyone else goes on working."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from psycopg import Connection
from psycopg.errors import DeadlockDetected
from psycopg.rows import dict_row

from schemas.sealing import KeyRing, UnsealError
from schemas.sql.queries import SEALED, SealedColumn, sealed_query
from workers import store
from workers.vault.blob import NotStoredError, rehouse
from workers.vault.vault import NoBlobError
from workers.vault.vaults import Vaults

# Bodies have up to 1 MB each, 16 where it is set so; a batch is one short transaction, and what a kill can undo.
BATCH = 20
# Who still seals under an old key makes new work; he must not keep this from coming to its end.
_PASSES = 5
_FIRST = {"uuid": str(UUID(int=0)), "text": ""}

Say = Callable[[str, int], None]


@dataclass
class Rotation:
    """What a run did: values by kind, and those that it could not open, by kind and row, with the reason."""

    key_id: str
    resealed: Counter[str] = field(default_factory=Counter)
    unopened: dict[tuple[str, str], str] = field(default_factory=dict)


def rotate(conn: Connection, *, keys: KeyRing, vaults: Vaults, say: Say = lambda _kind, _rows: None) -> Rotation:
    """Begin or go on: what is done already is passed over. Raises VaultAwayError."""
    done = Rotation(keys.primary)
    _audit(conn, done, "begun")
    for place, column in SEALED.items():
        _repeat(partial(_pass, conn, place, column, keys, done), place, say)
    _repeat(partial(_pass_images, conn, keys, vaults, done), "images", say)
    _audit(conn, done, "finished")
    return done


def _repeat(one_pass: Callable[[], Iterator[tuple[int, int]]], kind: str, say: Say) -> None:
    """Until nobody was faster than us with any row."""
    for _ in range(_PASSES):
        lost = 0
        for resealed, missed in one_pass():
            lost += missed
            say(kind, resealed)
        if not lost:
            return


def _pass(
    conn: Connection, place: str, column: SealedColumn, keys: KeyRing, done: Rotation
) -> Iterator[tuple[int, int]]:
    """Every stale value of a column once: how many were sealed anew, and how many had changed meanwhile."""
    after: object = _FIRST[column.key_type]
    while True:
        values = {"key_id": keys.primary, "after": after, "batch": BATCH}
        with conn.cursor(row_factory=dict_row) as cursor:
            page = cursor.execute(sealed_query(column, "page_stale"), values).fetchall()
        if not page:
            return
        after = page[-1]["row"]
        changes = _reseal(page, place, keys, done)
        written = _write(conn, column, changes)
        done.resealed[place] += written
        yield written, len(changes) - written


def _reseal(page: Sequence[store.Row], place: str, keys: KeyRing, done: Rotation) -> list[store.Row]:
    changes = []
    for row in page:
        own = f"{place}/{row['own']}"
        try:
            sealed = keys.seal(keys.unseal(row["sealed"], place=own), place=own)
        except UnsealError as error:
            done.unopened[place, str(row["row"])] = str(error)
        else:
            changes.append({"row": row["row"], "was": row["sealed"], "sealed": sealed})
    return changes


def _write(conn: Connection, column: SealedColumn, changes: Sequence[store.Row]) -> int:
    """Compare and set; whoever was in the way comes first, and the next pass sees what he left."""
    if not changes:
        return 0
    try:
        with conn.transaction(), conn.cursor() as cursor:
            cursor.executemany(sealed_query(column, "reseal"), changes)
            return cursor.rowcount
    except DeadlockDetected:
        return 0


def _pass_images(conn: Connection, keys: KeyRing, vaults: Vaults, done: Rotation) -> Iterator[tuple[int, int]]:
    """Blobs are never written over: each gets a new one in the store where it is."""
    after = UUID(int=0)
    values = {"key_id": keys.primary, "batch": BATCH}
    while page := store.rows(conn, "images", "page_resealable", {**values, "after": after}):
        for row in page:
            after = row["id"]
            try:
                resealed = rehouse(conn, after, url=row["store"], vaults=vaults, keys=keys)
            except NotStoredError:  # erased meanwhile
                continue
            except (UnsealError, NoBlobError) as error:
                reason = str(error) if isinstance(error, UnsealError) else "its store has no blob of it"
                done.unopened["images", str(after)] = reason
            else:
                done.resealed["images"] += resealed
                yield int(resealed), int(not resealed)


def _audit(conn: Connection, done: Rotation, phase: str) -> None:
    details = {"phase": phase, "key_id": done.key_id, "resealed": dict(done.resealed), "unopened": len(done.unopened)}
    store.append_audit(conn, "key.rotated", details=details)
