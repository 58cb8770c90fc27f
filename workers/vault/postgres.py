"""The default store: a table beside the rows, in the same backup and the same replication."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

from psycopg import Connection
from psycopg.errors import ForeignKeyViolation

from workers import store
from workers.vault.vault import Blob, NoBlobError, read_key

_PAGE = 1000


class PostgresVault:
    """pipeline.image_blobs, through a connection in autocommit mode: what `put` returned for is committed."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def put(self, key: str, sealed: bytes) -> None:
        """See Vault; of an image that has just been erased nothing is kept."""
        image_id, _ = read_key(key)
        with suppress(ForeignKeyViolation):
            store.change(self._conn, "image_blobs", "put_blob", {"key": key, "image_id": image_id, "sealed": sealed})

    def get(self, key: str) -> bytes:
        """See Vault."""
        found = store.rows(self._conn, "image_blobs", "get_blob", {"key": key})
        if not found:
            raise NoBlobError(key)
        return bytes(found[0]["sealed"])

    def delete(self, key: str) -> None:
        """See Vault."""
        store.change(self._conn, "image_blobs", "delete_blob", {"key": key})

    def blobs(self, image_id: UUID | None = None) -> Iterator[Blob]:
        """See Vault."""
        if image_id is not None:
            of_image = store.rows(self._conn, "image_blobs", "list_blobs_of_image", {"image_id": image_id})
            yield from (Blob(**row) for row in of_image)
            return
        after = ""
        while page := store.rows(self._conn, "image_blobs", "list_blobs", {"after": after, "batch": _PAGE}):
            yield from (Blob(**row) for row in page)
            after = page[-1]["key"]
