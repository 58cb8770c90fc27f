"""Rows against stores and back: what is missing, what is damaged, what no row names."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Literal
from uuid import UUID

from psycopg import Connection

from schemas.sealing import KeyRing, UnsealError
from workers import store
from workers.vault.blob import NotStoredError, read_image, stores
from workers.vault.vault import Blob, NoBlobError, read_key
from workers.vault.vaults import Vaults

# A blob is younger than its row by the seconds of an attempt; an hour bears any clock.
YOUNG = timedelta(hours=1)
_PAGE = 500
# Readers wait for a bucket most of the time; each holds one image in memory. The connection takes them in turn.
_AT_ONCE = 8


@dataclass(frozen=True)
class Finding:
    """What one image or one blob was found to be."""

    kind: Literal["well", "missing", "damaged", "orphan", "deleted", "young"]
    store: str
    what: str
    problem: str = ""


def verify(
    conn: Connection, *, keys: KeyRing, vaults: Vaults, also: Iterable[str] = (), delete_orphans: bool = False
) -> Iterator[Finding]:
    """Read every image, and list every store. Raises VaultAwayError: then nothing is known."""
    yield from _check_images(conn, keys, vaults)
    for url in sorted({*stores(conn, vaults=vaults), *also}):
        yield from _find_orphans(conn, url, vaults, delete=delete_orphans)


def _check_images(conn: Connection, keys: KeyRing, vaults: Vaults) -> Iterator[Finding]:
    after = UUID(int=0)
    with ThreadPoolExecutor(_AT_ONCE, "verify") as readers:
        while page := store.rows(conn, "images", "page_stored", {"after": after, "batch": _PAGE}):
            yield from filter(None, readers.map(partial(_check, conn, keys, vaults), page))
            after = page[-1]["id"]


def _check(conn: Connection, keys: KeyRing, vaults: Vaults, row: store.Row) -> Finding | None:
    """None: erased meanwhile."""
    what = f"{row['tenant']} {row['workflow_key']} {row['credential_id']} {row['classifier']} ({row['id']})"
    try:
        read_image(conn, row["id"], vaults=vaults, keys=keys)
    except NotStoredError:
        return None
    except NoBlobError:
        return Finding("missing", row["store"], what, "its store has no blob of it")
    except UnsealError as error:
        return Finding("damaged", row["store"], what, str(error))
    return Finding("well", row["store"], what)


def _find_orphans(conn: Connection, url: str, vaults: Vaults, *, delete: bool) -> Iterator[Finding]:
    """The store first and the rows after it: whatever a row names by then is none."""
    vault = vaults.at(url, conn)
    listed = vault.blobs()
    while page := list(islice(listed, _PAGE)):
        asked = {"ids": [read_key(blob.key)[0] for blob in page], "keys": [blob.key for blob in page]}
        named = {row["blob_key"] for row in store.rows(conn, "images", "find_referenced", asked)}
        for blob in page:
            if blob.key in named:
                continue
            if _is_young(blob):
                yield Finding("young", url, blob.key)
            elif delete:
                vault.delete(blob.key)
                yield Finding("deleted", url, blob.key)
            else:
                yield Finding("orphan", url, blob.key, "no row names it")


def _is_young(blob: Blob) -> bool:
    return datetime.now(UTC) - blob.put_at < YOUNG
