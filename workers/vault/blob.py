"""One image and its blob, wherever it is: read it checked, give it a new one, delete all that is kept of it."""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from psycopg import Connection

from schemas.sealing import KeyRing, UnsealError
from workers import store
from workers.vault.vault import NoBlobError, new_key, read_key
from workers.vault.vaults import Vaults


class NotStoredError(Exception):
    """The image has no blob: it was never stored, or it has been erased."""


def seal_image(clear: bytes, image_id: UUID, *, keys: KeyRing) -> bytes:
    """Encrypt for this image's row: in another's place it does not open."""
    return keys.seal(clear, place=f"image_blobs.sealed/{image_id}")


def open_image(sealed: bytes, image_id: UUID, *, sha256: bytes, keys: KeyRing) -> bytes:
    """Decrypt and compare with what was downloaded. Raises UnsealError."""
    clear = keys.unseal(sealed, place=f"image_blobs.sealed/{image_id}")
    if hashlib.sha256(clear).digest() != sha256:
        raise UnsealError("an image, but not the one that its row tells the hash of")
    return clear


def read_image(conn: Connection, image_id: UUID, *, vaults: Vaults, keys: KeyRing) -> bytes:
    """The image in the clear, checked. Raises NotStoredError, NoBlobError, UnsealError, VaultAwayError."""
    return _read(conn, _find(conn, image_id), image_id, vaults, keys)[0]


def _read(conn: Connection, place: store.Row, image_id: UUID, vaults: Vaults, keys: KeyRing) -> tuple[bytes, store.Row]:
    """The image and where it was; who finds nothing looks whether it has been moved meanwhile."""
    while True:
        try:
            sealed = vaults.at(place["store"], conn).get(place["blob_key"])
        except NoBlobError:
            now = _find(conn, image_id)
            if now == place:
                raise
            place = now
            continue
        return open_image(sealed, image_id, sha256=place["sha256"], keys=keys), place


def rehouse(conn: Connection, image_id: UUID, *, url: str, vaults: Vaults, keys: KeyRing) -> bool:
    """Seal an image anew, under the first key and into a store; false where someone else was faster. Raises as read.

    The new blob first, then the row if it is still as it was read, then the old blob: killed anywhere in between, the
    row points at a whole blob, and the other one is an orphan.
    """
    clear, was = _read(conn, _find(conn, image_id), image_id, vaults, keys)
    _, attempt = read_key(was["blob_key"])
    new = {"store": url, "blob_key": new_key(image_id, attempt=attempt), "key_id": keys.primary}
    vaults.at(url, conn).put(new["blob_key"], seal_image(clear, image_id, keys=keys))
    old = {"id": image_id, "was_store": was["store"], "was_key": was["blob_key"]}
    moved = store.change(conn, "images", "rehouse_image", {**new, **old}) == 1
    left = was if moved else new
    vaults.at(left["store"], conn).delete(left["blob_key"])
    return moved


def stores(conn: Connection, *, vaults: Vaults) -> list[str]:
    """The URLs of all stores that an image may be in."""
    return sorted({row["store"] for row in store.rows(conn, "images", "list_stores")} | {vaults.home, "postgres:"})


def delete_blobs(conn: Connection, image_ids: Iterable[UUID], *, urls: Iterable[str], vaults: Vaults) -> int:
    """Delete all that these stores keep of images, what a crash left included; how many. Raises VaultAwayError.

    It needs no rows. An erasure notes ids and `stores` in the transaction that ends the rows, calls this after the
    commit, as often as it takes, and only then says that it is done: a worker that was about to store one finds no row,
    and deletes its own blob.
    """
    everywhere = [vaults.at(url, conn) for url in urls]
    deleted = 0
    for image_id in image_ids:
        for vault in everywhere:
            for blob in list(vault.blobs(image_id)):
                vault.delete(blob.key)
                deleted += 1
    return deleted


def _find(conn: Connection, image_id: UUID) -> store.Row:
    found = store.rows(conn, "images", "find_blob", {"id": image_id})
    if not found:
        raise NotStoredError("there is no such image, or none is stored of it")
    return found[0]
