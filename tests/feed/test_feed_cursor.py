"""No commit gets behind a cursor, however late it is, in whatever order, and wherever the database is moved."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Connection

from deploy.erasure.erase import erase
from deploy.erasure.subject import Subject
from deploy.status import read_status
from feed.cursor import Cursor, CursorError
from schemas.sealing import KeyRing
from schemas.settings import Settings
from tests.feed.conftest import OUTLET, Reader, serving, subjects, write_event
from workers.vault.vaults import Vaults

Connect = Callable[[], Connection]

WRITERS, EACH = 8, 25


def test_concurrent_writers_that_commit_late_lose_nothing(reader: Reader, connect: Connect) -> None:
    """reliability: a cursor over a sequence misses up to 60 % here."""
    written: list[str] = []

    def write(conn: Connection, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(EACH):
            with conn.transaction():
                key = write_event(conn)
                time.sleep(chance.expovariate(1 / 0.02))
            written.append(key)

    threads = [threading.Thread(target=write, args=(connect(), seed)) for seed in range(WRITERS)]
    for thread in threads:
        thread.start()
    read: list[str] = []
    while any(thread.is_alive() for thread in threads):
        # One at a time keeps the reader at the head, where the late ones are.
        read += subjects(reader.read(limit=1))
        read += subjects(reader.read(limit=1000))
    read += subjects(reader.read_all())

    assert len(written) == WRITERS * EACH
    assert len(read) == len(set(read))
    assert sorted(read) == sorted(written)


def test_the_feed_waits_for_an_open_transaction_and_does_not_skip_it(
    reader: Reader, conn: Connection, connect: Connect
) -> None:
    late = connect()
    with late.transaction():
        first = write_event(late)
        second = write_event(conn)

        assert reader.read() == []
        assert reader.read(wait=0.3) == []
        conn.execute("UPDATE pipeline.events SET occurred_at = now() - interval '2 minutes'")
        trouble = read_status(conn)["trouble"]
    assert any("the feed holds back 1 events for 12" in line for line in trouble), trouble
    assert not any("the feed holds back" in line for line in read_status(conn)["trouble"])
    assert sorted(subjects(reader.read(wait=5))) == sorted([first, second])


def test_of_an_erased_workflow_only_the_word_of_its_end_is_read(reader: Reader, conn: Connection) -> None:
    keys, vaults = KeyRing.parse(KeyRing.generate()), Vaults(Settings.load("", {}))
    key, other = write_event(conn), write_event(conn)
    late = Reader(reader.url, reader.token)
    late.read(limit=1)
    write_event(conn, "kyc.workflow.changed.v1", workflow_key=key)

    erase(conn, Subject("default", "workflow", key), reason="asked", keys=keys, outlet=OUTLET, vaults=vaults)

    found = [(event["type"], event["subject"], event["sequence"]) for event in reader.read_all()]
    assert found == [("kyc.workflow.decided.v1", other, 1), ("kyc.subject.erased.v1", key, 3)]
    assert subjects(late.read_all()) == [other, key]


def test_what_is_rolled_back_is_not_waited_for(reader: Reader, conn: Connection, connect: Connect) -> None:
    late = connect()
    with late.transaction(force_rollback=True):
        write_event(late)
        written = write_event(conn)

    assert subjects(reader.read_all()) == [written]


def test_a_reader_without_writes_holds_nothing_back(reader: Reader, conn: Connection, connect: Connect) -> None:
    analyst = connect()
    with analyst.transaction():
        analyst.execute("SELECT count(*) FROM pipeline.events")
        written = write_event(conn)

        assert subjects(reader.read_all()) == [written]


def test_a_workflow_is_in_order_whoever_began_first(reader: Reader, conn: Connection, connect: Connect) -> None:
    """A transaction that began early and then waited for the workflow's row writes what comes later."""
    early = connect()
    with early.transaction():
        early.execute("SELECT pg_current_xact_id()")
        key = write_event(conn)
        write_event(early, "kyc.workflow.changed.v1", workflow_key=key)

    pages = [reader.read(limit=1), reader.read(limit=1)]
    assert [(event["subject"], event["sequence"]) for page in pages for event in page] == [(key, 1), (key, 2)]


def test_a_database_from_another_cluster_begins_a_new_epoch(
    tmp_path: Path, reader: Reader, conn: Connection, database_url: str
) -> None:
    """Numbers of transactions that are still to come here: as they stand, the feed would wait for years."""
    restored = [write_event(conn) for _ in range(2)]
    reader.read()
    conn.execute("UPDATE pipeline.events SET position = '9000000000'")
    assert reader.read(wait=0.2) == []
    [[epoch]] = conn.execute("SELECT epoch FROM pipeline.feed").fetchall()
    try:
        with serving(tmp_path, database_url) as url:
            after = Reader(url, reader.token, reader.cursor)
            refused = after.ask()
            after.cursor = ""
            after.read()
            assert (refused.status_code, refused.json()["code"]) == (400, "cursor_ended")
            written = write_event(conn)
            assert subjects(after.read()) == [written]
            after.cursor = ""
            assert sorted(subjects(after.read_all())) == sorted([*restored, written])
    finally:
        conn.execute("UPDATE pipeline.feed SET epoch = %s", [epoch])


def test_after_a_failover_a_cursor_goes_on_only_if_its_event_is_here(reader: Reader, conn: Connection) -> None:
    """Numbers of what the replica never got are given out again: whoever read it would skip what comes under them."""
    key = write_event(conn)
    assert subjects(reader.read()) == [key]
    kept, lost = Reader(reader.url, reader.token, reader.cursor), Reader(reader.url, reader.token, reader.cursor)
    gone = write_event(conn)
    assert subjects(lost.read()) == [gone]
    [[epoch]] = conn.execute("SELECT epoch FROM pipeline.feed").fetchall()
    try:
        conn.execute("DELETE FROM pipeline.events WHERE workflow_key = %s", [gone])
        conn.execute("UPDATE pipeline.feed SET cluster = '7/00000001'")
        written = write_event(conn)

        assert lost.ask().json()["code"] == "cursor_ended"
        assert subjects(kept.read()) == [written]
        # Not the next number: another recovery from the same backup would count to it, too.
        begun = "SELECT epoch > %s + 1000, cluster = pipeline.cluster() FROM pipeline.feed"
        assert conn.execute(begun, [epoch]).fetchall() == [(True, True)]
        assert kept.read() == []
    finally:
        conn.execute("UPDATE pipeline.feed SET epoch = %s", [epoch])


def test_a_cursor_names_an_event_and_no_number_that_a_crash_would_give_out_again(
    reader: Reader, conn: Connection
) -> None:
    key = write_event(conn)
    for _ in range(3):
        with conn.transaction(force_rollback=True):
            write_event(conn)

    assert subjects(reader.read(types="kyc.workflow.decided.v1")) == [key]

    cursor = Cursor.read(reader.cursor)
    named = conn.execute("SELECT workflow_key FROM pipeline.events WHERE id = %s", [cursor.id]).fetchall()
    assert named == [(key,)]


@given(
    cursor=st.builds(
        Cursor,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**31 - 1),
        st.uuids(),
    )
)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    assert Cursor.read(cursor.text()) == cursor


@settings(max_examples=50)
@given(text=st.text() | st.text("Aa0-_=", min_size=44, max_size=44))
def test_any_other_text_is_none_or_one_that_is_written_alike(text: str) -> None:
    try:
        cursor = Cursor.read(text)
    except CursorError:
        return
    assert cursor.text() == text


def test_a_cursor_of_a_later_release_is_none() -> None:
    text = Cursor(1, 2, 3, UUID(int=4)).text()

    with pytest.raises(CursorError):
        Cursor.read("B" + text[1:])
