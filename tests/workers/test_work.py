"""Around every step: one claim at a time, and afterwards a row that says how it went."""

import hashlib
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from psycopg import Connection
from psycopg.rows import dict_row

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.sealing import UnsealError
from schemas.settings import DELIVERY_RETRY_SECONDS, JUMIO_RETRY_SECONDS
from workers import store
from workers.broker import CLAIM_SECONDS
from workers.errors import JumioAwayError, JumioNotReadyError, JumioRefusedError, LineError
from workers.jumio.transport import Http
from workers.work import Step, Work


@pytest.fixture
def callback_id(conn: Connection) -> UUID:
    """A callback that waits."""
    values = {"id": uuid4(), "sha256": hashlib.sha256(b"").digest()}
    conn.execute(
        "INSERT INTO pipeline.callbacks (id, tenant, source_evidence, bytes, sha256, sealed_body, sealed_head, state) "
        "VALUES (%(id)s, 'default', '{}', 0, %(sha256)s, '', '', 'stored')",
        values,
    )
    return UUID(str(values["id"]))


def row(conn: Connection) -> dict[str, Any]:
    statement = "SELECT *, extract(epoch FROM next_attempt_at - now())::float8 AS seconds FROM pipeline.callbacks"
    with conn.cursor(row_factory=dict_row) as cursor:
        [found] = cursor.execute(statement).fetchall()
    return found


def failing(error: BaseException) -> Step:
    def step(_conn: Connection, _attempt: int) -> None:
        raise error

    return step


def work(row_id: UUID, step: Step, schedule: tuple[float, ...] = (1000.0, 2000.0, 4000.0)) -> Work:
    return Work("callbacks", row_id, schedule, step)


@pytest.mark.parametrize(("before", "seconds"), [(0, 1000.0), (1, 2000.0), (2, 4000.0)])
def test_another_try_comes_at_its_time_in_the_schedule(
    conn: Connection, callback_id: UUID, before: int, seconds: float
) -> None:
    conn.execute("UPDATE pipeline.callbacks SET attempts = %s", [before])

    work(callback_id, failing(JumioAwayError("details", "answered 503"))).run(conn)

    found = row(conn)
    assert seconds * 0.9 - 5 <= found["seconds"] <= seconds * 1.1
    assert (found["state"], found["attempts"]) == ("stored", before + 1)
    assert found["last_error"] == "jumio_away: details; answered 503"
    assert found["claimed_until"] is found["leased_until"] is found["finished_at"] is None


def test_rows_that_fail_together_do_not_come_back_together(conn: Connection, callback_id: UUID) -> None:
    delays = set()
    for _ in range(8):
        conn.execute("UPDATE pipeline.callbacks SET attempts = 0, next_attempt_at = now()")
        work(callback_id, failing(JumioAwayError())).run(conn)
        delays.add(round(row(conn)["seconds"]))

    assert len(delays) > 3


@pytest.mark.parametrize(("asked", "at_least", "at_most"), [(9000.0, 8995, 9000), (1.0, 895, 1100)])
def test_who_asks_for_more_time_gets_it(
    conn: Connection, callback_id: UUID, asked: float, at_least: float, at_most: float
) -> None:
    work(callback_id, failing(JumioAwayError("answered 429", asked))).run(conn)

    assert at_least <= row(conn)["seconds"] <= at_most


def test_all_that_a_row_asks_is_answered_in_its_time_or_asked_again(
    conn: Connection, callback_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.work.ASKING_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, closing(Http()) as http:

        def step(_conn: Connection, _attempt: int) -> None:
            http.ask(f"http://127.0.0.1:{silent.getsockname()[1]}", asked="details", headers={}, at_most=1)

        work(callback_id, step).run(conn)

    assert row(conn)["last_error"] == "jumio_away: details; ReadTimeout from TimeoutError"


def test_when_the_tries_run_out_the_row_is_parked_with_the_last_reason(conn: Connection, callback_id: UUID) -> None:
    tries = 0

    def step(_conn: Connection, attempt: int) -> None:
        nonlocal tries
        tries += 1
        assert attempt == tries
        raise JumioNotReadyError(f"try {attempt}")

    for _ in range(6):
        work(callback_id, step, schedule=(0.0, 0.0, 0.0)).run(conn)

    found = row(conn)
    assert tries == 4
    assert (found["state"], found["attempts"], found["last_error"]) == (
        "parked",
        4,
        f"jumio_not_ready: try 4; {JumioNotReadyError.advice}",
    )
    assert found["finished_at"] is not None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (JumioRefusedError("details", "answered 403"), "jumio_refused: details; answered 403"),
        (UnreadableCallbackError("json", "not JSON at character 7"), "json: not JSON at character 7"),
        (UnsealError("the bytes were changed or belong to another row"), "unseal: the bytes were changed"),
        (JumioRefusedError(), "jumio_refused: Jumio refused our credentials"),
    ],
)
def test_what_no_try_can_mend_is_parked_at_once(
    conn: Connection, callback_id: UUID, error: Exception, reason: str
) -> None:
    work(callback_id, failing(error)).run(conn)

    found = row(conn)
    assert (found["state"], found["attempts"]) == ("parked", 1)
    assert found["last_error"].startswith(reason)
    assert found["claimed_until"] is found["leased_until"] is None


def test_a_step_that_took_too_long_is_tried_again(conn: Connection, callback_id: UUID) -> None:
    work(callback_id, failing(SoftTimeLimitExceeded())).run(conn)

    found = row(conn)
    assert (found["state"], found["last_error"]) == (
        "stored",
        "time_limit: The attempt took longer than an attempt may.",
    )
    assert found["seconds"] > 890


def test_a_row_with_a_park_of_its_own_is_parked_by_it(conn: Connection, callback_id: UUID) -> None:
    parked = []

    def park(_conn: Connection, attempt: int, error: str) -> None:
        parked.append((attempt, error))

    Work("callbacks", callback_id, (1.0,), failing(JumioRefusedError("x")), park).run(conn)

    assert parked == [(1, "jumio_refused: x")]
    assert row(conn)["state"] == "stored"


def test_a_crash_leaves_the_claim_which_ends_by_itself(conn: Connection, callback_id: UUID) -> None:
    with pytest.raises(ZeroDivisionError):
        work(callback_id, failing(ZeroDivisionError())).run(conn)
    steps: list[int] = []

    work(callback_id, lambda _, attempt: steps.append(attempt)).run(conn)
    conn.execute("UPDATE pipeline.callbacks SET claimed_until = now() - interval '1 second'")
    work(callback_id, lambda _, attempt: steps.append(attempt)).run(conn)

    assert steps == [2]


def test_the_claim_is_written_before_the_step_and_outlasts_it(conn: Connection, callback_id: UUID) -> None:
    seen: list[float] = []

    def step(conn: Connection, _attempt: int) -> None:
        statement = "SELECT extract(epoch FROM claimed_until - now())::float8 FROM pipeline.callbacks"
        seen.extend(conn.execute(statement).fetchone() or ())

    work(callback_id, step).run(conn)

    assert [round(seconds) for seconds in seen] == [CLAIM_SECONDS]


def at_once(database_url: str, count: int, job: Callable[[Connection], object]) -> list[object]:
    """The same job by several at the same moment; what each of them got."""
    barrier, got = threading.Barrier(count), []

    def run() -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            barrier.wait()
            got.append(job(conn))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_of_several_claims_at_once_one_is_granted(conn: Connection, callback_id: UUID, database_url: str) -> None:
    got = at_once(database_url, 6, lambda conn: store.claim(conn, "callbacks", callback_id, seconds=75))

    assert sum(granted is not None for granted in got) == 1
    assert row(conn)["attempts"] == 1


def test_of_several_runs_at_once_one_takes_the_step(conn: Connection, callback_id: UUID, database_url: str) -> None:
    steps: list[int] = []

    at_once(database_url, 6, work(callback_id, lambda _, attempt: steps.append(attempt)).run)

    assert steps == [1]


@pytest.mark.parametrize("state", ["done", "parked", "refused", "unverified"])
def test_what_does_not_wait_is_left_alone(conn: Connection, callback_id: UUID, state: str) -> None:
    finished = None if state == "unverified" else "2026-01-01"
    conn.execute(
        "UPDATE pipeline.callbacks SET state = %s, finished_at = %s::timestamptz, last_error = 'x: y'",
        [state, finished],
    )
    before = row(conn)
    steps: list[int] = []

    work(callback_id, lambda _, attempt: steps.append(attempt)).run(conn)

    assert steps == []
    assert {**row(conn), "seconds": 0} == {**before, "seconds": 0}


def test_what_is_not_due_and_what_is_not_there_is_left_alone(conn: Connection, callback_id: UUID) -> None:
    conn.execute("UPDATE pipeline.callbacks SET next_attempt_at = now() + interval '1 hour'")
    steps: list[int] = []

    work(callback_id, lambda _, attempt: steps.append(attempt)).run(conn)
    work(uuid4(), lambda _, attempt: steps.append(attempt)).run(conn)

    assert steps == []
    assert row(conn)["attempts"] == 0


@pytest.mark.parametrize("error", [JumioAwayError("late"), JumioRefusedError("late")])
def test_a_row_that_was_settled_meanwhile_stays_so(conn: Connection, callback_id: UUID, error: LineError) -> None:
    def step(conn: Connection, attempt: int) -> None:
        assert store.finish(conn, "callbacks", callback_id, attempt=attempt, state="done")
        raise error

    work(callback_id, step).run(conn)

    found = row(conn)
    assert (found["state"], found["last_error"]) == ("done", None)


@pytest.mark.parametrize("error", [JumioAwayError("late"), JumioRefusedError("late")])
def test_a_row_that_another_attempt_holds_stays_with_it(conn: Connection, callback_id: UUID, error: LineError) -> None:
    def step(conn: Connection, _attempt: int) -> None:
        conn.execute("UPDATE pipeline.callbacks SET claimed_until = now() - interval '1 second'")
        assert store.claim(conn, "callbacks", callback_id, seconds=75) is not None
        raise error

    work(callback_id, step).run(conn)

    found = row(conn)
    assert (found["state"], found["attempts"], found["last_error"]) == ("stored", 2, None)
    assert found["claimed_until"] is not None


def test_the_schedules_are_those_that_were_decided() -> None:
    assert JUMIO_RETRY_SECONDS == (40, 60, 100, 160, 240, 340, 460, 600, 760, 940)
    assert 6.5 * 86400 < sum(DELIVERY_RETRY_SECONDS) < 7.5 * 86400
