"""Blob first, then row: whatever dies in between, no row points at nothing, and what is read is what was stored."""

import threading
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import Connection

from schemas.sealing import KeyRing, UnsealError
from schemas.settings import Settings
from tests.s3_server import S3Server
from tests.workers.test_images import JPEG, PNG, Shelf
from tests.workers.vault.test_vaults import STORES, settings_of
from workers.images import store_image
from workers.vault.blob import NotStoredError, delete_blobs, read_image, rehouse, stores
from workers.vault.vault import NoBlobError
from workers.vault.vaults import Vaults

OLD = KeyRing.generate("old")


class Kept(Shelf):
    """Images in a store outside of Postgres, or in it."""

    def __init__(self, conn: Connection, keys: KeyRing, settings: Settings) -> None:
        super().__init__(conn, keys, images_url=settings.images_url)
        self.settings, self.vaults = settings, Vaults(settings)

    def tools(self) -> SimpleNamespace:
        tools: SimpleNamespace = super().tools()
        tools.vaults = self.vaults
        return tools

    def keys_in_store(self) -> list[str]:
        return [blob.key for blob in self.vaults.at(self.vaults.home, self.conn).blobs()]


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server, conn: Connection) -> Kept:
    return Kept(conn, KeyRing.parse(OLD), settings_of(request.param, tmp_path, s3))


def test_an_image_is_read_from_where_its_row_says(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)

    kept.run(front)

    row = kept.image(front)
    assert (row["state"], row["store"]) == ("stored", kept.vaults.home)
    assert kept.keys_in_store() == [row["blob_key"]]
    assert JPEG not in kept.vaults.at(row["store"], kept.conn).get(row["blob_key"])
    moved_on = Vaults(kept.settings.model_copy(update={"images_url": "file:///srv/newer"}))
    assert read_image(kept.conn, front, vaults=moved_on, keys=kept.keys) == JPEG


def test_killed_between_blob_and_row_leaves_an_orphan_and_the_next_attempt_stores(
    kept: Kept, database_url: str
) -> None:
    front = kept.want("FRONT", JPEG)
    kept.conn.execute("UPDATE pipeline.images SET attempts = 1")
    with psycopg.connect(database_url, autocommit=True) as worker, psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM pipeline.images WHERE id = %s FOR NO KEY UPDATE", [front])
        pid = worker.info.backend_pid
        at_it = threading.Thread(target=_until_killed, args=[kept, front, worker])
        at_it.start()
        while not waits(kept.conn, pid):
            pass
        kept.conn.execute("SELECT pg_terminate_backend(%s)", [pid])
        at_it.join()
    left, between = kept.keys_in_store(), kept.image(front)

    kept.run(front)

    assert len(left) == 1
    assert (between["state"], between["blob_key"]) == ("wanted", None)
    assert kept.image(front)["state"] == "stored"
    assert sorted(kept.keys_in_store()) == sorted([*left, kept.image(front)["blob_key"]])
    assert read_image(kept.conn, front, vaults=kept.vaults, keys=kept.keys) == JPEG


def _until_killed(kept: Kept, front: object, worker: Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        store_image(worker, front, attempt=1, tools=kept.tools())  # type: ignore[arg-type]


def waits(conn: Connection, pid: int) -> bool:
    statement = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
    return conn.execute(statement, [pid]).fetchone() == (True,)


def test_an_attempt_that_overslept_takes_its_blob_with_it(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)
    kept.conn.execute("UPDATE pipeline.images SET attempts = 2")

    store_image(kept.conn, front, attempt=1, tools=kept.tools())

    assert kept.keys_in_store() == []
    with pytest.raises(NotStoredError):
        read_image(kept.conn, front, vaults=kept.vaults, keys=kept.keys)


def test_an_image_that_was_erased_while_it_was_downloaded_is_kept_nowhere(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)

    class Erasing:
        def image(self, *_asked: object) -> bytes:
            kept.conn.execute("DELETE FROM pipeline.images WHERE id = %s", [front])
            return JPEG

    kept.jumio = Erasing()  # type: ignore[assignment]
    store_image(kept.conn, front, attempt=0, tools=kept.tools())  # type: ignore[arg-type]

    assert kept.keys_in_store() == []


def test_blobs_that_changed_places_are_refused(kept: Kept) -> None:
    front, back = kept.want("FRONT", JPEG), kept.want("BACK", PNG)
    for image_id in (front, back):
        kept.run(image_id)
    key, other = kept.image(front)["blob_key"], kept.image(back)["blob_key"]
    vault = kept.vaults.at(kept.vaults.home, kept.conn)
    swapped = {key: vault.get(other), other: vault.get(key)}
    for place, sealed in swapped.items():
        vault.delete(place)
        vault.put(place, sealed)

    for image_id in (front, back):
        with pytest.raises(UnsealError, match="belong to another row"):
            read_image(kept.conn, image_id, vaults=kept.vaults, keys=kept.keys)


def test_an_older_image_of_the_same_row_is_not_the_one_that_it_tells_the_hash_of(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)
    kept.run(front)
    kept.conn.execute("UPDATE pipeline.images SET sha256 = sha256(%s)", [PNG])

    with pytest.raises(UnsealError, match="not the one"):
        read_image(kept.conn, front, vaults=kept.vaults, keys=kept.keys)


def test_a_new_house_is_a_new_blob_and_the_old_one_goes(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)
    kept.run(front)
    before = kept.image(front)
    newer = KeyRing.parse(f"{KeyRing.generate('new')},{OLD}")

    assert rehouse(kept.conn, front, url=kept.vaults.home, vaults=kept.vaults, keys=newer)

    after = kept.image(front)
    assert (before["key_id"], after["key_id"]) == ("old", "new")
    assert after["blob_key"] != before["blob_key"]
    assert {**after, "blob_key": 0, "key_id": 0} == {**before, "blob_key": 0, "key_id": 0}
    assert kept.keys_in_store() == [after["blob_key"]]
    assert read_image(kept.conn, front, vaults=kept.vaults, keys=newer) == JPEG


def test_who_reads_while_an_image_moves_finds_it(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)
    kept.run(front)
    vault, vaults = kept.vaults.at(kept.vaults.home, kept.conn), kept.vaults

    class Slow:
        """Reads only after the image has moved away, the first time."""

        moved = False

        def at(self, url: str, conn: Connection) -> object:
            if not self.moved:
                self.moved = rehouse(conn, front, url=url, vaults=vaults, keys=kept.keys)
            return vault

    assert read_image(kept.conn, front, vaults=Slow(), keys=kept.keys) == JPEG  # type: ignore[arg-type]


def test_a_blob_that_is_gone_is_said_to_be(kept: Kept) -> None:
    front = kept.want("FRONT", JPEG)
    kept.run(front)
    kept.vaults.at(kept.vaults.home, kept.conn).delete(kept.image(front)["blob_key"])

    with pytest.raises(NoBlobError):
        read_image(kept.conn, front, vaults=kept.vaults, keys=kept.keys)


def test_all_that_is_kept_of_an_image_is_deleted_and_nothing_of_others(kept: Kept) -> None:
    front, back = kept.want("FRONT", JPEG), kept.want("BACK", PNG)
    for image_id in (front, back):
        kept.run(image_id)
    vault = kept.vaults.at(kept.vaults.home, kept.conn)
    vault.put(kept.image(front)["blob_key"][:-8] + "00000000", b"left by a crash")

    urls = stores(kept.conn, vaults=kept.vaults)
    deleted = [delete_blobs(kept.conn, [front], urls=urls, vaults=kept.vaults) for _ in range(2)]

    assert deleted == [2, 0]
    assert kept.keys_in_store() == [kept.image(back)["blob_key"]]


def test_a_worker_may_do_this_and_read_no_blob_back(conn: Connection) -> None:
    kept = Kept(conn, KeyRing.parse(OLD), Settings.load("", {}))
    front, back = kept.want("FRONT", JPEG), kept.want("BACK", JPEG)
    conn.execute("SET ROLE jumio_worker")

    kept.run(front)
    store_image(conn, back, attempt=7, tools=kept.tools())  # type: ignore[arg-type]

    assert kept.image(front)["state"] == "stored"
    assert conn.execute("SELECT key FROM pipeline.image_blobs").fetchall() == [(kept.image(front)["blob_key"],)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT sealed FROM pipeline.image_blobs")
