"""Images whose rows have ended, out of every store that may keep them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from psycopg import Connection

from workers import store
from workers.errors import VaultAwayError
from workers.vault.blob import delete_blobs
from workers.vault.vaults import Vaults

_LOOK_SECONDS = 0.5


class BlobsLeftError(Exception):
    """The rows are gone, and a store keeps images still; the text says how to delete those."""


@dataclass
class Blobs:
    """Of which images blobs may be left, and in which stores."""

    ids: list[UUID] = field(default_factory=list)
    urls: set[str] = field(default_factory=set)

    def note(self, images: Iterable[store.Row]) -> None:
        """In the transaction that ends these rows."""
        for image in images:
            self.ids.append(image["id"])
            self.urls |= {image["store"]} - {None}


def delete_left(conn: Connection, blobs: Blobs, *, vaults: Vaults, seconds: float) -> None:
    """After the commit, as often as it takes. Raises BlobsLeftError once that takes longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            delete_blobs(conn, blobs.ids, urls=sorted(blobs.urls), vaults=vaults)
        except VaultAwayError as error:
            if time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
                continue
            also = "".join(f" --also {url}" for url in sorted(blobs.urls - {"postgres:", vaults.home}))
            raise BlobsLeftError(
                f"the rows of {len(blobs.ids)} images are deleted, but their store keeps what it has: {error}. When it "
                f"is back, and an hour after they were stored: jumio-pipeline images verify --delete-orphans{also}"
            ) from None
        else:
            return
