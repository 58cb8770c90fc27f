"""One image after another is stored or given up, and the last one says so, once."""

import hashlib
import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row

from deploy.requeue import requeue_parked
from schemas.sealing import KeyRing
from workers import store
from workers.emit import Outlet
from workers.errors import JumioAnswerError, JumioAwayError, JumioNotFoundError, TooLargeError, WithheldError
from workers.images import NOT_FOUND_TRIES, give_up, sniff, store_image
from workers.vault.blob import read_image
from workers.vault.vaults import Vaults
from workers.work import Work

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\0" * 50
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50
OUTLET = Outlet(source="/test", destinations=("stream",))
KEY = {"tenant": "default", "family": "kyx", "workflow_key": "w-1"}


@dataclass
class FakeJumio:
    """Has the image of every classifier that it was given; None is a 404, an error is raised."""

    images: dict[str, bytes | Exception | None] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def image(self, _conn: Connection, account_id: str, credential_id: str, classifier: str) -> bytes:
        self.asked.append((account_id, credential_id, classifier))
        found = self.images.get(classifier)
        if found is None:
            raise JumioNotFoundError("image", "answered 404")
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Shelf:
    """A workflow with wanted images, and one turn of a worker at a time."""

    conn: Connection
    keys: KeyRing
    jumio: FakeJumio = field(default_factory=FakeJumio)
    images_url: str = "postgres:"

    def tools(self) -> Any:
        """As much of a worker's as this step needs."""
        settings = SimpleNamespace(keys=self.keys, images_url=self.images_url)
        return SimpleNamespace(
            jumio={"default": self.jumio}, legacy={}, settings=settings, outlet=OUTLET, vaults=Vaults(settings)
        )

    def __post_init__(self) -> None:
        self.conn.execute(
            "INSERT INTO pipeline.workflows (tenant, family, workflow_key, account_id, user_reference, status, outcome,"
            " verdict_version, decided_at, last_sequence) VALUES (%(tenant)s, %(family)s, %(workflow_key)s, 'a-1',"
            " 'user-1', 'PROCESSED', 'passed', 1, now(), 1)",
            KEY,
        )

    def want(self, classifier: str, image: bytes | Exception | None, *, offered: bool = True) -> UUID:
        self.jumio.images[classifier] = image
        part = {"credential_id": "c-1", "category": "ID", "classifier": classifier, "offered": offered}
        image_id = uuid4()
        store.change(self.conn, "images", "want_image", {**KEY, **part, "id": image_id, "account_id": "a-1"})
        return image_id

    def run(self, image_id: UUID, conn: Connection | None = None, *, tries: int = 4) -> None:
        """As the task does it."""

        def step(conn: Connection, attempt: int) -> None:
            store_image(conn, image_id, attempt=attempt, tools=self.tools())

        def park(conn: Connection, attempt: int, error: str) -> None:
            give_up(conn, image_id, attempt=attempt, error=error, outlet=OUTLET)

        Work("images", image_id, (0.0,) * (tries - 1), step, park).run(conn or self.conn)

    def image(self, image_id: UUID) -> dict[str, Any]:
        [found] = self._rows("SELECT * FROM pipeline.images WHERE id = %s", image_id)
        return found

    def events(self) -> list[dict[str, Any]]:
        """Their data, in order."""
        rows = self._rows("SELECT * FROM pipeline.events ORDER BY sequence")
        assert {row["type"] for row in rows} <= {"kyc.workflow.images-stored.v1"}
        return [json.loads(row["body"])["data"] for row in rows]

    def _rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self.conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(sql.encode(), values).fetchall()


@pytest.fixture
def shelf(conn: Connection, keys: KeyRing) -> Shelf:
    return Shelf(conn, keys)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (JPEG, "image/jpeg"),
        (PNG, "image/png"),
        (b"GIF89a" + b"\0" * 9, "image/gif"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "application/octet-stream"),
        (b"II*\0\x08", "image/tiff"),
        (b"MM\0*\0", "image/tiff"),
        (b"BM\x36", "image/bmp"),
        (b"<!DOCTYPE html><title>x</title>", "text/html"),
        (b"\r\n  <HTML lang=en>", "text/html"),
        (b'{"message": "Not Found"}', "application/json"),
        (b"\n[1]", "application/json"),
        (b"", "application/octet-stream"),
        (b"   ", "application/octet-stream"),
        (b"\xff\xd8", "application/octet-stream"),
        (b"\0" + JPEG, "application/octet-stream"),
        (b"plain words", "application/octet-stream"),
        (random.Random(1).randbytes(400), "application/octet-stream"),
    ],
)
def test_the_bytes_tell_what_they_are(data: bytes, media_type: str) -> None:
    assert sniff(data) == media_type


@pytest.mark.parametrize(
    ("data", "media_type", "flag"),
    [
        (JPEG, "image/jpeg", None),
        (PNG, "image/png", None),
        (b"GIF89a" + b"\0" * 9, "image/gif", "neither JPEG nor PNG"),
        (b'{"message": "x"}', "application/json", "neither JPEG nor PNG"),
    ],
)
def test_an_image_is_kept_sealed_with_the_facts_about_it(
    shelf: Shelf, data: bytes, media_type: str, flag: str | None
) -> None:
    image_id = shelf.want("FRONT", data)

    shelf.run(image_id)

    kept = shelf.image(image_id)
    assert (kept["state"], kept["media_type"], kept["flag"], kept["bytes"]) == ("stored", media_type, flag, len(data))
    assert kept["sha256"] == hashlib.sha256(data).digest()
    [[key, sealed]] = shelf.conn.execute("SELECT key, sealed FROM pipeline.image_blobs").fetchall()
    assert (kept["store"], kept["blob_key"], kept["key_id"]) == ("postgres:", key, shelf.keys.primary)
    assert key.startswith(f"{str(image_id)[-2:]}/{image_id}.1.")
    assert data not in sealed
    assert shelf.keys.unseal(sealed, place=f"image_blobs.sealed/{image_id}") == data
    assert read_image(shelf.conn, image_id, vaults=shelf.tools().vaults, keys=shelf.keys) == data
    assert shelf.jumio.asked == [("a-1", "c-1", "FRONT")]


def test_an_image_that_is_not_there_three_times_is_missing(shelf: Shelf) -> None:
    image_id = shelf.want("BACK", None)

    states = []
    for _ in range(5):
        shelf.run(image_id, tries=9)
        states.append(shelf.image(image_id)["state"])

    assert states == ["wanted", "wanted", "missing", "missing", "missing"]
    assert len(shelf.jumio.asked) == NOT_FOUND_TRIES == 3
    assert shelf.image(image_id)["last_error"] == "jumio_not_found: image; answered 404"
    assert [(event["images_wanted"], event["images_stored"]) for event in shelf.events()] == [(1, 0)]


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"", "jumio_answer"), (JumioAwayError("image"), "jumio_away"), (JumioAnswerError("x"), "jumio_answer")],
)
def test_what_may_be_better_next_time_is_tried_again(shelf: Shelf, answer: bytes | Exception, code: str) -> None:
    image_id = shelf.want("FRONT", answer)
    shelf.run(image_id)
    before = shelf.image(image_id)
    shelf.jumio.images["FRONT"] = JPEG

    shelf.run(image_id)

    assert (before["state"], before["last_error"].split(":")[0]) == ("wanted", code)
    assert (shelf.image(image_id)["state"], shelf.image(image_id)["last_error"]) == ("stored", None)
    assert len(shelf.events()) == 1


def test_the_event_comes_with_the_last_image_and_only_once(shelf: Shelf) -> None:
    ids = [shelf.want(name, JPEG) for name in ("FRONT", "BACK", "FACE")]
    shelf.want("LIVENESS_1", None, offered=False)

    counts = []
    for image_id in [*ids, *ids]:
        shelf.run(image_id)
        counts.append(len(shelf.events()))

    assert counts == [0, 0, 1, 1, 1, 1]
    [event] = shelf.events()
    assert event == {
        **KEY, "account_id": "a-1", "user_reference": "user-1", "customer_reference": None, "outcome": "passed",
        "verdict_version": 1, "images_wanted": 3, "images_stored": 3,
    }  # fmt: skip


@pytest.mark.parametrize("round_", range(5))
def test_of_images_settled_at_once_one_emits(shelf: Shelf, database_url: str, round_: int) -> None:
    ids = [shelf.want(f"LIVENESS_{number}", JPEG) for number in range(6)]
    gone = shelf.want("BACK", None)
    shelf.conn.execute("UPDATE pipeline.images SET attempts = 2 WHERE id = %s", [gone])

    at_once(database_url, [lambda conn, each=each: shelf.run(each, conn) for each in [*ids, gone] * 2])

    assert [(event["images_wanted"], event["images_stored"]) for event in shelf.events()] == [(7, 6)]


def test_a_parked_image_counts_as_settled(shelf: Shelf) -> None:
    stored, parked = shelf.want("FRONT", JPEG), shelf.want("BACK", JumioAwayError("image"))
    shelf.run(stored)

    shelf.run(parked, tries=2)
    waiting = shelf.events()
    shelf.run(parked, tries=2)

    assert waiting == []
    assert (shelf.image(parked)["state"], shelf.image(parked)["last_error"]) == (
        "parked",
        f"jumio_away: image; {JumioAwayError.advice}",
    )
    assert [(event["images_wanted"], event["images_stored"]) for event in shelf.events()] == [(2, 1)]


@pytest.mark.parametrize("error", [WithheldError("image", "answered 403"), TooLargeError("image")])
def test_what_jumio_will_never_give_is_refused_for_good(shelf: Shelf, error: Exception) -> None:
    refused = shelf.want("PAGE_101", error)

    shelf.run(refused)

    assert shelf.image(refused)["state"] == "refused"
    assert [(event["images_wanted"], event["images_stored"]) for event in shelf.events()] == [(1, 0)]


def test_a_parked_image_that_is_requeued_is_announced_again(shelf: Shelf) -> None:
    stored, parked = shelf.want("FRONT", JPEG), shelf.want("BACK", JumioAwayError("image"))
    shelf.run(stored)
    shelf.run(parked, tries=1)
    shelf.jumio.images["BACK"] = PNG

    assert requeue_parked(shelf.conn, "jumio_away")["images"] == 1
    shelf.run(parked)

    assert [event["images_stored"] for event in shelf.events()] == [1, 2]
    assert [row[0] for row in shelf.conn.execute("SELECT sequence FROM pipeline.events ORDER BY 1")] == [2, 3]


def test_a_part_that_jumio_offers_only_later_is_wanted_then(shelf: Shelf) -> None:
    first = shelf.want("FRONT", JPEG, offered=False)
    shelf.want("FRONT", JPEG, offered=False)
    before = shelf.image(first)

    shelf.want("FRONT", JPEG)
    shelf.run(first)
    shelf.want("FRONT", JPEG)

    assert (before["state"], before["last_error"].split(":")[0]) == ("missing", "not_offered")
    assert shelf.image(first)["state"] == "stored"
    assert len(shelf.events()) == 1


def test_an_attempt_that_overslept_stores_nothing(shelf: Shelf) -> None:
    image_id = shelf.want("FRONT", JPEG)
    shelf.conn.execute("UPDATE pipeline.images SET attempts = 2")

    store_image(shelf.conn, image_id, attempt=1, tools=shelf.tools())

    assert shelf.image(image_id)["state"] == "wanted"
    assert shelf.conn.execute("SELECT count(*) FROM pipeline.image_blobs").fetchone() == (0,)
    assert shelf.events() == []


def at_once(database_url: str, jobs: list[Callable[[Connection], None]]) -> None:
    """All of them at the same moment, each on a connection of its own."""
    barrier, failures = threading.Barrier(len(jobs)), []

    def run(job: Callable[[Connection], None]) -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            barrier.wait()
            try:
                job(conn)
            except psycopg.Error as error:
                failures.append(error)

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
