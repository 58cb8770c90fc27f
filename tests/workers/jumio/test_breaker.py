"""A storm opens it for the fleet, rows wait without using up attempts, one a minute tries, a success closes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from structlog.testing import capture_logs

from schemas.settings import JUMIO_RETRY_SECONDS
from tests.workers.jumio.fleet import ACCOUNT, CREDENTIAL, WINDOW_OVER, WORKFLOW, Fleet, open_parts
from workers import store
from workers.errors import JumioRefusedError, LineError, ParkError, WaitError
from workers.jumio.breaker import STORM, ClosedError
from workers.jumio.transport import Http
from workers.work import Work


@pytest.mark.parametrize("status", [401, 403])
def test_a_storm_of_refusals_opens_it_for_all(fleet: Fleet, status: int) -> None:
    fleet.region.retrieval = status

    with capture_logs() as logs:
        errors = fleet.ask(STORM)
    before = fleet.asked()
    later = fleet.ask(20)

    assert errors == [JumioRefusedError] * (STORM - 1) + [ClosedError]
    assert later == [ClosedError] * 20
    assert fleet.asked() == before
    assert [entry for entry in logs if entry["event"] == "breaker.opened"] == [
        {
            "event": "breaker.opened",
            "log_level": "error",
            "tenant": "default",
            "part": "credentials",
            "reason": f"details; answered {status}",
        }
    ]
    [shown] = store.rows(fleet.conn, "breakers", "open_breakers")
    assert (shown["tenant"], shown["part"], shown["failures"]) == ("default", "credentials", STORM)
    assert 50 < shown["probe_seconds"] <= 60


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_token_counts_and_is_asked_for_no_more(fleet: Fleet, status: int) -> None:
    fleet.region.token = status

    errors = fleet.ask(STORM + 20)

    assert errors == [JumioRefusedError] * (STORM - 1) + [ClosedError] * 21
    assert len(fleet.server.of("/oauth2/token")) == STORM


def test_an_answer_in_between_starts_the_count_anew(fleet: Fleet) -> None:
    for status in (403, 403, 403, 403, 200) * 3 + (403, 403, 404, 403, 403, 403, 403):
        fleet.region.retrieval = status
        fleet.ask()

    assert open_parts(fleet.conn) == []


def test_what_was_a_minute_ago_is_no_storm(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM - 1)
    fleet.conn.execute(WINDOW_OVER)

    assert fleet.ask(STORM - 1) == [JumioRefusedError] * (STORM - 1)
    assert fleet.ask() == [ClosedError]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_images_are_no_storm(fleet: Fleet, status: int) -> None:
    fleet.region.image = status

    for _ in range(STORM * 2):
        with pytest.raises(JumioRefusedError):
            fleet.worker().image(fleet.conn, ACCOUNT, CREDENTIAL, "FRONT")

    assert open_parts(fleet.conn) == []
    assert fleet.ask() == [None]


def test_refused_images_do_not_hide_a_storm_either(fleet: Fleet) -> None:
    fleet.region.image = fleet.region.retrieval = 403

    for _ in range(STORM):
        fleet.ask()
        with pytest.raises(LineError):
            fleet.worker().image(fleet.conn, ACCOUNT, CREDENTIAL, "FRONT")

    assert open_parts(fleet.conn) == ["credentials"]


def test_an_image_that_tries_and_is_refused_waits_like_the_others(fleet: Fleet) -> None:
    fleet.region.image = fleet.region.retrieval = 403
    fleet.ask(STORM)

    for _ in range(3):
        fleet.conn.execute(WINDOW_OVER)
        with pytest.raises(ClosedError):
            fleet.worker().image(fleet.conn, ACCOUNT, CREDENTIAL, "FRONT")

    assert fleet.asked() == STORM + 3
    assert open_parts(fleet.conn) == ["credentials"]


def test_another_tenant_is_not_concerned(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM)
    fleet.region.retrieval = 200

    assert fleet.ask(tenant="other") == [None]
    assert fleet.ask() == [ClosedError]


def test_one_worker_a_minute_tries_until_it_succeeds(fleet: Fleet, database_url: str) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM)
    for status, closed in ((403, 8), (403, 8), (200, 7)):
        fleet.region.retrieval = status
        fleet.conn.execute(WINDOW_OVER)
        before = fleet.asked()

        errors = at_once(fleet, database_url, 8)

        assert fleet.asked() - before == 1
        assert errors.count(ClosedError) == closed
    assert open_parts(fleet.conn) == []
    assert fleet.ask(3) == [None] * 3


def at_once(fleet: Fleet, database_url: str, count: int) -> list[type[LineError] | None]:
    """All of them look before one of them has an answer."""
    looked = threading.Barrier(count)

    def work() -> type[LineError] | None:
        http = Http(total_seconds=5.0)
        jumio = fleet.worker(http=http)
        with psycopg.connect(database_url, autocommit=True) as own:
            jumio._caller._breaker._look(own)  # type: ignore[union-attr]  # noqa: SLF001
            looked.wait()
            try:
                jumio.details(own, ACCOUNT, WORKFLOW)
            except LineError as error:
                return type(error)
            finally:
                http.close()
        return None

    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(work) for _ in range(count)]]


def test_closing_is_logged(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM)
    fleet.region.retrieval = 200
    fleet.conn.execute(WINDOW_OVER)

    with capture_logs() as logs:
        fleet.ask()

    assert [entry["event"] for entry in logs if entry["event"].startswith("breaker.")] == [
        "breaker.probed",
        "breaker.closed",
    ]


def test_rows_wait_and_no_attempt_is_used_up(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    ids = [insert_callback(fleet.conn) for _ in range(STORM + 7)]
    for row_id in ids:
        run(fleet, row_id)

    assert states(fleet.conn) == {("parked", 1): STORM - 1, ("stored", 0): 8}

    for _ in range(3):
        fleet.conn.execute("UPDATE pipeline.callbacks SET next_attempt_at = now()")
        for row_id in ids:
            run(fleet, row_id)
    assert states(fleet.conn) == {("parked", 1): STORM - 1, ("stored", 0): 8}
    waiting = "SELECT DISTINCT split_part(last_error, ':', 1) FROM pipeline.callbacks WHERE state = 'stored'"
    assert fleet.conn.execute(waiting).fetchall() == [("jumio_closed",)]

    fleet.region.retrieval = 200
    fleet.conn.execute(WINDOW_OVER)
    fleet.conn.execute("UPDATE pipeline.callbacks SET next_attempt_at = now()")
    for row_id in ids:
        run(fleet, row_id)
    assert states(fleet.conn) == {("parked", 1): STORM - 1, ("done", 1): 8}


def run(fleet: Fleet, row_id: UUID) -> None:
    def step(conn: Connection, attempt: int) -> None:
        fleet.worker().details(conn, ACCOUNT, WORKFLOW)
        store.finish(conn, "callbacks", row_id, attempt=attempt, state="done")

    Work("callbacks", row_id, JUMIO_RETRY_SECONDS, step).run(fleet.conn)


def states(conn: Connection) -> dict[tuple[Any, ...], int]:
    counted = "SELECT state, (attempts - forgiven)::integer, count(*)::integer FROM pipeline.callbacks GROUP BY 1, 2"
    return {tuple(row[:2]): row[2] for row in conn.execute(counted)}


def insert_callback(conn: Connection) -> UUID:
    row_id = uuid4()
    conn.execute(
        "INSERT INTO pipeline.callbacks (id, tenant, source_evidence, bytes, sha256, sealed_body, sealed_head, state) "
        "VALUES (%s, 'default', '{}', 0, sha256(''), '', '', 'stored')",
        [row_id],
    )
    return row_id


def test_a_closed_breaker_is_a_wait_and_not_a_refusal() -> None:
    error = ClosedError("credentials", "details; answered 403", 42.0)

    assert isinstance(error, WaitError)
    assert not isinstance(error, ParkError)
    assert error.retry_after == 42.0
    assert str(error) == "jumio_closed: credentials; details; answered 403; 42.0"
