"""GET /events as a consumer meets it: pages, filters, waits, tokens, and what is said when it cannot be."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from psycopg import Connection

from deploy.consumers import add, revoke
from deploy.status import find_trouble, read_status
from feed.app import MOST_REQUESTS
from feed.cursor import Cursor
from feed.store import MOST_SCANNED
from schemas.events.envelope import BATCH_CONTENT_TYPE
from schemas.sql.queries import query
from tests.events import validate_event
from tests.feed.conftest import Event, Reader, bodies, serving, subjects, write_event
from tests.waiting import until


def test_an_empty_feed_is_an_empty_batch_with_a_place_to_go_on(reader: Reader, conn: Connection) -> None:
    assert reader.read() == []
    write_event(conn)

    assert len(reader.read()) == 1
    assert reader.read() == []


def test_a_page_holds_the_events_as_they_were_signed(reader: Reader, conn: Connection) -> None:
    for _ in range(3):
        write_event(conn)

    answer = reader.ask()

    assert answer.headers["content-type"] == BATCH_CONTENT_TYPE
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == f"[{','.join(bodies(conn))}]"
    for event in answer.json():
        validate_event(event)


def test_pages_follow_one_another_without_a_gap_or_a_repeat(reader: Reader, conn: Connection) -> None:
    with conn.transaction():  # one transaction: a page ends within it
        written = [write_event(conn) for _ in range(7)]

    assert len(reader.read(limit=3)) == 3
    assert len(pages := reader.read_all(limit=3)) == 4
    reader.cursor = ""
    assert sorted(subjects(reader.read_all(limit=1000))) == sorted(written)
    assert set(subjects(pages)) < set(written)


def test_types_are_chosen_and_the_rest_is_passed_over(reader: Reader, conn: Connection) -> None:
    key = write_event(conn)
    write_event(conn, "kyc.workflow.changed.v1", workflow_key=key)
    write_event(conn, "kyc.workflow.images-stored.v1", workflow_key=key)

    found = reader.read(types="kyc.workflow.changed.v1, kyc.subject.erased.v1")

    assert [(event["type"], event["sequence"]) for event in found] == [("kyc.workflow.changed.v1", 2)]
    assert reader.read() == []


def test_a_consumer_sees_its_tenants_only(feed_url: str, conn: Connection) -> None:
    acme = Reader(feed_url, add(conn, "acme-only", tenants=["acme"]))
    write_event(conn)
    mine = write_event(conn, tenant="acme")

    assert subjects(acme.read_all()) == [mine]


def test_more_is_said_while_there_is_more(reader: Reader, conn: Connection) -> None:
    for _ in range(3):
        write_event(conn)

    said = []
    for _ in range(3):
        answer = reader.ask(limit=2)
        reader.cursor = answer.headers["feed-cursor"]
        said.append((len(answer.json()), answer.headers["feed-more"]))

    assert said == [(2, "true"), (1, "false"), (0, "false")]


def test_what_is_rare_is_found_behind_much_that_is_not(reader: Reader, conn: Connection) -> None:
    """More than one statement looks at: each is bounded, and the place is kept."""
    key = write_event(conn)
    conn.execute(
        "INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body)"
        " SELECT gen_random_uuid(), 'default', 'kyx', %s, n, 'kyc.workflow.changed.v1', now(), '{}'"
        " FROM generate_series(2, %s) n",
        [key, 2 * MOST_SCANNED + 10],
    )
    rare = write_event(conn, "kyc.workflow.expired.v1")

    began = time.monotonic()
    found = reader.read(types="kyc.workflow.expired.v1")

    assert subjects(found) == [rare]
    assert reader.read(types="kyc.workflow.expired.v1") == []
    assert time.monotonic() - began < 10


def test_an_index_serves_what_is_asked_again_and_again(conn: Connection) -> None:
    place = {"epoch": 1, "position": "0", "sequence": 0, "id": UUID(int=0)}
    values = {**place, "types": None, "tenants": None, "limit": 9, "scan": 9}
    with conn.transaction():
        # Whatever the figures say of a table with a handful of rows.
        conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        for name, asked in (("latest", None), ("read_events", {**values, "filtered": True})):
            plan = "\n".join(row[0] for row in conn.execute(b"EXPLAIN " + query("feed", name), asked))
            assert "using events_feed" in plan
            assert "Sort" not in plan, plan
            assert "Index Cond" in plan


def test_an_erased_event_is_gone_and_the_cursor_goes_on(reader: Reader, conn: Connection) -> None:
    first, erased, last = (write_event(conn) for _ in range(3))
    assert subjects(reader.read(limit=2)) == [first, erased]
    conn.execute("DELETE FROM pipeline.events WHERE workflow_key = %s", [erased])

    assert subjects(reader.read_all()) == [last]
    reader.cursor = ""
    assert subjects(reader.read_all()) == [first, last]


def test_a_wait_ends_with_the_event(reader: Reader, conn: Connection, waiting: Callable[[], int]) -> None:
    reader.read()
    with ThreadPoolExecutor() as pool:
        began = time.monotonic()
        answer = pool.submit(reader.read, wait=20)
        until(lambda: waiting() == 1)
        assert not answer.done()
        written = write_event(conn)

        assert subjects(answer.result(timeout=10)) == [written]
    assert time.monotonic() - began < 10


def test_a_wait_ends_empty_and_for_another_type_goes_on(reader: Reader, conn: Connection) -> None:
    reader.read()
    began = time.monotonic()
    threading.Timer(0.2, write_event, [conn]).start()

    assert reader.read(wait=0.8, types="kyc.workflow.changed.v1") == []

    assert 0.7 < time.monotonic() - began < 8


def test_those_who_wait_hold_no_connection(feed_url: str, conn: Connection, reader: Reader) -> None:
    reader.read()
    others = [Reader(feed_url, add(conn, f"waits-{number}"), reader.cursor) for number in range(3)]
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(wait_for_events, other) for other in others for _ in range(MOST_REQUESTS)]
        full = [answered(lambda other=other: other.ask(wait=0.1), status=429) for other in others]
        assert reader.read() == []
        connections = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jumio-pipeline feed'"
        ).fetchone()
        assert not any(each.done() for each in waiting)
        written = write_event(conn)

        assert [subjects(each.result(timeout=10)) for each in waiting] == [[written]] * len(waiting)
    assert connections is not None
    assert connections[0] <= 4
    assert {answer.json()["code"] for answer in full} == {"too_many_requests"}
    assert {answer.headers["retry-after"] for answer in full} == {"1"}


def test_who_hangs_up_leaves_its_place_to_others(reader: Reader) -> None:
    reader.read()
    for _ in range(MOST_REQUESTS + 2):
        with pytest.raises(httpx2.TimeoutException):
            Reader(reader.url, reader.token, reader.cursor, patience=0.15).read(wait=30)

    assert answered(lambda: reader.ask(wait=0.1), status=200)


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer a b"])
def test_without_a_token_it_is_said_how(feed_url: str, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    answer = httpx2.get(f"{feed_url}/events", headers=headers, trust_env=False)

    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_revoked_token_is_refused_also_while_it_waits(
    reader: Reader, conn: Connection, waiting: Callable[[], int]
) -> None:
    reader.read()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(reader.ask, wait=10)
        until(lambda: waiting() == 1)
        revoke(conn, "reader")
        write_event(conn)

        answer = asked.result(timeout=5)
    for refused in (answer, reader.ask(), Reader(reader.url, "jpf_nonsense").ask()):
        assert (refused.status_code, refused.json()["code"]) == (401, "token_unknown")


def test_a_token_is_nowhere_in_the_database(reader: Reader, conn: Connection) -> None:
    reader.read()

    [row] = conn.execute("SELECT consumers::text, last_used_at FROM pipeline.consumers").fetchall()
    assert reader.token not in row[0]
    assert reader.token.removeprefix("jpf_") not in row[0]
    assert row[1] is not None


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"after": "nonsense"}, "cursor_unreadable"),
        ({"after": "A" * 44}, "cursor_unreadable"),
        ({"after": "ü" * 44}, "cursor_unreadable"),
        ({"after": Cursor(9, 1).text()}, "cursor_ended"),
        ({"after": Cursor(1, 2**63).text()}, "cursor_ended"),
        ({"types": "kyc.workflow.decided"}, "type_unknown"),
        ({"limit": 0}, "limit_out_of_bounds"),
        ({"limit": 1001}, "limit_out_of_bounds"),
        ({"limit": "1e2"}, "limit_out_of_bounds"),
        ({"wait": 31}, "wait_out_of_bounds"),
        ({"wait": "nan"}, "wait_out_of_bounds"),
        ({"wait": -1}, "wait_out_of_bounds"),
        ({"type": "kyc.workflow.decided.v1"}, "parameter_unknown"),
    ],
)
def test_what_cannot_be_answered_is_said_with_what_to_do(reader: Reader, parameters: dict[str, Any], code: str) -> None:
    answer = reader.ask(**parameters)

    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert len(answer.json()["detail"]) > 20


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/events/", 404),
        ("POST", "/events", 405),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
    ],
)
def test_other_paths_and_methods(feed_url: str, method: str, path: str, status: int) -> None:
    assert httpx2.request(method, feed_url + path, trust_env=False).status_code == status


def test_without_postgres_it_starts_says_503_and_ends(tmp_path: Path) -> None:
    with serving(tmp_path, f"host={tmp_path} dbname=nowhere") as url:
        began = time.monotonic()
        answer = Reader(url, "jpf_x").ask()

    assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
    assert answer.headers["retry-after"] == "5"
    assert time.monotonic() - began < 12


def test_its_own_role_is_enough_and_a_stop_sends_home_who_waits(
    tmp_path: Path, conn: Connection, login: Callable[[str], str]
) -> None:
    written = write_event(conn)
    conn.execute("UPDATE pipeline.feed SET cluster = NULL")
    with ThreadPoolExecutor() as pool:
        with serving(tmp_path, login("jumio_feed")) as url:
            assert conn.execute("SELECT cluster FROM pipeline.feed WHERE cluster = pipeline.cluster()").rowcount == 1
            reader = Reader(url, add(conn, "waits"))
            assert subjects(reader.read()) == [written]
            waiting = pool.submit(reader.read, wait=30)
            time.sleep(0.4)
            began = time.monotonic()

        assert waiting.result(timeout=1) == []
    assert time.monotonic() - began < 8
    assert "jpf_" not in (tmp_path / "feed.log").read_text()


def test_it_gives_signs_of_life_and_says_what_it_hands_out(
    tmp_path: Path, conn: Connection, login: Callable[[str], str]
) -> None:
    token = add(conn, "watched")
    write_event(conn)

    with serving(tmp_path, login("jumio_feed")) as url:
        desk = f"http://{(tmp_path / 'feed.ready').read_text().split()[1]}"
        assert [Reader(url, token).ask().status_code, Reader(url, "jpf_x").ask().status_code] == [200, 401]
        metrics = httpx2.get(f"{desk}/metrics", trust_env=False).text
        at_the_feed = httpx2.get(f"{url}/metrics", trust_env=False)
        pulse = f"feed/%/{(tmp_path / 'feed.pid').read_text()}"
        until(lambda: conn.execute("SELECT FROM pipeline.pulses WHERE process LIKE %s", [pulse]).fetchall())
        status = read_status(conn)

    for line in (
        'jumio_feed_answers_total{code="200"} 1.0',
        'jumio_feed_answers_total{code="401"} 1.0',
        'jumio_feed_refused_total{reason="token_unknown"} 1.0',
        "jumio_feed_events_total 1.0",
        "jumio_feed_page_seconds_count 1.0",
        "jumio_feed_waiting 0.0",
        "jumio_feed_held_back_events 0.0",
    ):
        assert line in metrics.splitlines()
    assert "watched" not in metrics
    assert at_the_feed.status_code == 404
    assert "no feed has been heard of" not in "".join(status["trouble"])
    del status["processes"]["feed"]
    assert "no feed has been heard of" in "".join(find_trouble(status))
    status["feed"]["consumers"] = 0
    assert "no feed has been heard of" not in "".join(find_trouble(status))


def wait_for_events(reader: Reader) -> list[Event]:
    """For as long as may be; anew where the one who looks whether all places are taken had taken the last."""
    answer = answered(lambda: reader.ask(wait=30), status=200)
    return list(answer.json())


def answered(ask: Callable[[], httpx2.Response], *, status: int) -> httpx2.Response:
    """The first answer of this status; others may come before."""
    deadline = time.monotonic() + 10
    while (answer := ask()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer
