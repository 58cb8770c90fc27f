"""Images in other stores -> the one of IMAGES_URL, while the line runs; killed and started again, it goes on."""

from collections.abc import Iterator
from uuid import UUID

from psycopg import Connection

from schemas.sealing import KeyRing, UnsealError
from workers import store
from workers.vault.blob import NotStoredError, rehouse
from workers.vault.vault import NoBlobError
from workers.vault.vaults import Vaults

_PAGE = 100


def move_images(conn: Connection, *, keys: KeyRing, vaults: Vaults) -> Iterator[tuple[UUID, str]]:
    """Each image with what is wrong with it, if anything is: then it stays where it is. Raises VaultAwayError."""
    after = UUID(int=0)
    values = {"store": vaults.home, "batch": _PAGE}
    while page := store.rows(conn, "images", "page_movable", {**values, "after": after}):
        for row in page:
            after = row["id"]
            try:
                rehouse(conn, after, url=vaults.home, vaults=vaults, keys=keys)
            except NotStoredError:  # erased meanwhile
                continue
            except NoBlobError:
                yield after, "its store has no blob of it"
            except UnsealError as error:
                yield after, str(error)
            else:
                yield after, ""
