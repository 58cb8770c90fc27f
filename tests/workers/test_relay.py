"""What is due is leased and sent, by several relays at once, whatever happens to the broker and the database."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import redis
from psycopg import Connection
from structlog.testing import capture_logs

from deploy.status import read_status
from schemas.settings import Settings
from schemas.sql.queries import work_query
from tests.waiting import until
from tests.workers.relaying import messages, put, sent
from workers.broker import (
    ASKING_SECONDS,
    CLAIM_SECONDS,
    LEASE_SECONDS,
    SOFT_TIME_LIMIT,
    TASKS,
    TIME_LIMIT,
    build_app,
)
from workers.jumio import breaker, budget, token, transport
from workers.relay import Relay

HOST, LATE = "callback.jumio.com", "callback.emea-1.jumio.ai"
JUMIO, STRANGER = "192.0.2.10", "198.51.100.7"


def test_what_is_due_is_leased_and_sent_once(relay: Relay, conn: Connection, valkey: "redis.Redis") -> None:
    ids = put(conn, 3)

    counts = [relay.send_due(conn, "callbacks") for _ in range(3)]

    assert counts == [3, 0, 0]
    assert sorted(sent(valkey)) == sorted(ids)
    [(seconds,)] = conn.execute(
        "SELECT extract(epoch FROM min(leased_until) - now())::float8 FROM pipeline.callbacks"
    ).fetchall()
    assert LEASE_SECONDS - 5 < seconds <= LEASE_SECONDS
    assert conn.execute("SELECT sum(attempts) FROM pipeline.callbacks").fetchall() == [(0,)]


def test_a_message_holds_a_task_and_a_row_id_and_nothing_else(
    relay: Relay, conn: Connection, valkey: "redis.Redis"
) -> None:
    [callback_id] = put(conn)

    relay.send_due(conn, "callbacks")

    [message] = messages(valkey)
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == TASKS["callbacks"]
    assert json.loads(base64.b64decode(message["body"]))[:2] == [[callback_id], {}]
    assert message["headers"]["argsrepr"] == f"('{callback_id}',)"
    assert message["headers"]["kwargsrepr"] == "{}"
    assert not {"192.0.2.10", "default"} & set(json.dumps(message).split('"'))


def test_several_relays_never_send_a_row_twice_within_its_lease(
    settings: Settings, conn: Connection, valkey: "redis.Redis"
) -> None:
    ids = put(conn, 150)
    relays = [Relay(settings) for _ in range(4)]
    barrier = threading.Barrier(len(relays))

    def run(relay: Relay) -> None:
        with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as own:
            barrier.wait()
            while relay.send_due(own, "callbacks"):
                pass

    threads = [threading.Thread(target=run, args=[relay]) for relay in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(relay.send_due(conn, "callbacks") for relay in relays) == 0
    assert sorted(sent(valkey)) == sorted(ids)


def test_a_message_that_the_broker_lost_is_sent_again_after_its_lease(
    relay: Relay, conn: Connection, valkey: "redis.Redis"
) -> None:
    ids = put(conn, 2)
    relay.send_due(conn, "callbacks")
    valkey.flushall()

    early = relay.send_due(conn, "callbacks")
    conn.execute("UPDATE pipeline.callbacks SET leased_until = now() - interval '1 second'")
    late = relay.send_due(conn, "callbacks")

    assert (early, late) == (0, 2)
    assert sorted(sent(valkey)) == sorted(ids)


@pytest.mark.parametrize(
    "change",
    [
        "next_attempt_at = now() + interval '1 minute'",
        "claimed_until = now() + interval '1 minute'",
        "leased_until = now() + interval '1 minute'",
        "state = 'done', finished_at = now()",
        "state = 'parked', finished_at = now(), last_error = 'x: y'",
        "state = 'refused', finished_at = now(), last_error = 'source: x'",
        "state = 'unverified'",
    ],
)
def test_what_is_not_due_is_not_sent(relay: Relay, conn: Connection, valkey: "redis.Redis", change: str) -> None:
    put(conn)
    conn.execute(f"UPDATE pipeline.callbacks SET {change}".encode())

    assert relay.send_due(conn, "callbacks") == 0
    assert sent(valkey) == []


def test_a_claim_that_ended_with_its_worker_is_sent_again(
    relay: Relay, conn: Connection, valkey: "redis.Redis"
) -> None:
    ids = put(conn)
    conn.execute("UPDATE pipeline.callbacks SET attempts = 1, claimed_until = now() - interval '1 second'")

    assert relay.send_due(conn, "callbacks") == 1
    assert sent(valkey) == ids


def test_the_longest_due_goes_first(relay: Relay, conn: Connection, valkey: "redis.Redis") -> None:
    young = put(conn)[0]
    old = put(conn, 100)
    conn.execute("UPDATE pipeline.callbacks SET next_attempt_at = now() - interval '1 hour' WHERE id <> %s", [young])

    assert relay.send_due(conn, "callbacks") == 100
    assert sorted(sent(valkey)) == sorted(old)


def test_events_of_a_workflow_leave_in_order_and_others_do_not_wait(
    relay: Relay, line: Any, conn: Connection, valkey: "redis.Redis"
) -> None:
    [first], [second] = (line.ids(line.emit("{}", stream=True)) for _ in range(2))
    other = type(line)(conn)
    [elsewhere] = other.ids(other.emit("{}", stream=True))

    relay.send_due(conn, "deliveries")
    before = set(sent(valkey, "deliveries"))
    conn.execute("UPDATE pipeline.deliveries SET state = 'delivered', finished_at = now() WHERE id = %s", [first])
    relay.send_due(conn, "deliveries")

    assert before == {str(first), str(elsewhere)}
    assert set(sent(valkey, "deliveries")) - before == {str(second)}


@contextmanager
def running(settings: Settings) -> Iterator[Relay]:
    relay = Relay(settings)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_a_relay_whose_database_connection_is_cut_goes_on(
    settings: Settings, conn: Connection, valkey: "redis.Redis"
) -> None:
    with running(settings):
        [first] = put(conn)
        until(lambda: sent(valkey) == [first])
        cut = conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jumio-pipeline relay'"
        ).fetchall()
        [second] = put(conn)
        until(lambda: len(sent(valkey)) == 2)

    assert cut == [(True,)]
    assert set(sent(valkey)) == {first, second}


def test_a_relay_whose_broker_comes_back_goes_on(settings: Settings, conn: Connection, valkey: "redis.Redis") -> None:
    valkey.config_set("maxmemory", 1)
    with capture_logs() as logs, running(settings):
        ids = put(conn, 3)
        until(lambda: "relay.broker_away" in {line["event"] for line in logs})
        valkey.config_set("maxmemory", 0)
        until(lambda: len(sent(valkey)) == 3)

    assert sorted(sent(valkey)) == sorted(ids)


def test_a_relay_gives_signs_of_life_and_asks_workers_for_theirs(
    settings: Settings, conn: Connection, valkey: "redis.Redis"
) -> None:
    with running(settings):
        until(lambda: messages(valkey))

    assert conn.execute("SELECT role FROM pipeline.pulses").fetchall() == [("relay",)]
    assert [message["headers"]["task"] for message in messages(valkey)] == ["pulse"]


def test_leases_and_limits_outlast_one_another() -> None:
    app = build_app(Settings.load("relay", {"DATABASE_URL": "x", "BROKER_URL": "redis://h/0"}))

    beside = token.PATIENCE_SECONDS + budget.PATIENCE_SECONDS + breaker.PAGE_SECONDS
    assert CLAIM_SECONDS > TIME_LIMIT > SOFT_TIME_LIMIT > ASKING_SECONDS + beside
    assert ASKING_SECONDS > transport.TOTAL_SECONDS
    assert (app.conf.task_time_limit, app.conf.task_soft_time_limit) == (TIME_LIMIT, SOFT_TIME_LIMIT)
    assert app.conf.broker_transport_options["visibility_timeout"] > TIME_LIMIT


@pytest.fixture
def judge(settings: Settings, conn: Connection, valkey: "redis.Redis") -> Callable[..., list[tuple[str, str | None]]]:
    """Lets a relay make its first turn, then tells state and reason of every callback, the oldest first."""

    def run(**changed: Any) -> list[tuple[str, str | None]]:
        with running(settings.model_copy(update={"source_hosts": (HOST,), **changed})):
            until(lambda: messages(valkey))
        statement = "SELECT CASE state WHEN 'stored' THEN 'admitted' ELSE state END, last_error"
        return conn.execute(f"{statement} FROM pipeline.callbacks ORDER BY client_address".encode()).fetchall()

    return run


def answer(
    conn: Connection,
    *,
    first: timedelta,
    last: timedelta | None = None,
    left: timedelta | None = None,
    name: str = HOST,
    address: str = JUMIO,
) -> None:
    """One DNS answer: how long ago the address of a name was seen first and last, and left."""
    conn.execute(
        "INSERT INTO pipeline.source_addresses (name, address, first_seen_at, last_seen_at, left_at)"
        " VALUES (%s, %s, now() - %s::interval, now() - %s::interval, now() - %s::interval)",
        [name, address, first, first if last is None else last, left],
    )


SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_without_an_answer_everyone_stays_unverified(conn: Connection, judge: Callable[..., Any]) -> None:
    put(conn, state="unverified")
    put(conn, state="unverified", address=STRANGER)

    assert judge() == [("unverified", None)] * 2


def arrived(conn: Connection, ago: timedelta) -> None:
    conn.execute("UPDATE pipeline.callbacks SET received_at = now() - %s::interval", [ago])


@pytest.mark.parametrize(
    ("ago", "others", "state"),
    [
        (HOUR, {}, "unverified"),
        (HOUR, {LATE: {"first": 2 * HOUR}}, "unverified"),
        (HOUR, {LATE: {"first": SECOND, "address": "2001:db8::1"}}, "unverified"),
        (HOUR, {LATE: {"first": DAY, "last": SECOND}}, "refused"),
        (25 * HOUR, {}, "refused"),
    ],
    ids=["one name is silent", "it answered before", "not for IPv4", "it answered", "silent for a day"],
)
def test_a_stranger_is_refused_when_every_name_has_answered_since(
    conn: Connection, judge: Callable[..., Any], ago: timedelta, others: dict[str, Any], state: str
) -> None:
    put(conn, state="unverified")
    put(conn, state="unverified", address=STRANGER)
    arrived(conn, ago)
    answer(conn, first=5 * SECOND)
    for name, seen in others.items():
        answer(conn, name=name, **{"address": "192.0.2.11", **seen})

    [known, stranger] = judge(source_hosts=(HOST, LATE))

    error = "source: not an address of Jumio's, by DNS answers since"
    assert (known, stranger) == (("admitted", None), (state, error if state == "refused" else None))
    evidence = conn.execute("SELECT source_evidence->>'name' FROM pipeline.callbacks ORDER BY client_address")
    assert evidence.fetchall() == [(HOST,), (None,)]


def test_an_ipv6_stranger_is_refused_an_hour_later(conn: Connection, judge: Callable[..., Any]) -> None:
    """A name without AAAA and one whose AAAA is lost look the same from here."""
    put(conn, state="unverified", address="2001:db8::66")
    put(conn, state="unverified", address="2001:db8::67")
    arrived(conn, 50 * MINUTE)
    conn.execute(
        "UPDATE pipeline.callbacks SET received_at = now() - interval '2 hours' WHERE host(client_address) ~ '67$'"
    )
    answer(conn, first=SECOND)

    assert [state for state, _ in judge()] == ["unverified", "refused"]


def test_who_was_told_200_and_refused_is_admitted_when_its_name_answers_after_all(
    conn: Connection, judge: Callable[..., Any]
) -> None:
    put(conn, state="refused")
    conn.execute("""UPDATE pipeline.callbacks SET source_evidence = '{"rule": "unverified"}'""")
    put(conn, state="refused", address="192.0.2.11")
    answer(conn, first=SECOND)
    answer(conn, first=SECOND, address="192.0.2.11")

    # Whoever was told 403 is an operator's to admit, who is told.
    assert judge() == [("admitted", None), ("refused", "source: x")]
    [told] = [line for line in read_status(conn)["trouble"] if "were refused" in line]
    assert "1 callbacks from 192.0.2.11" in told
    assert "requeue --refused --from 192.0.2.11" in told


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"source_check": "observe"}, "admitted"),
        ({"source_extra": Settings.load("", {"SOURCE_EXTRA": "198.51.100.0/24"}).source_extra}, "admitted"),
        ({"source_extra": Settings.load("", {"SOURCE_EXTRA": "203.0.113.0/24"}).source_extra}, "refused"),
        ({"source_hosts": ("Callback.Jumio.com.",)}, "refused"),
        ({"source_hosts": ("callback.example",)}, "unverified"),
    ],
)
def test_a_stranger_is_judged_by_the_settings(
    conn: Connection, judge: Callable[..., Any], changed: dict[str, Any], state: str
) -> None:
    put(conn, state="unverified", address=STRANGER)
    arrived(conn, 2 * HOUR)
    answer(conn, first=HOUR)

    assert [found for found, _ in judge(**changed)] == [state]


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ({"first": 30 * DAY, "last": 6 * DAY}, "admitted"),
        ({"first": 30 * DAY, "last": 8 * DAY}, "unverified"),
        ({"first": 2 * DAY, "left": 23 * HOUR}, "admitted"),
        ({"first": 2 * DAY, "left": 25 * HOUR}, "unverified"),
    ],
)
def test_an_answer_admits_for_a_week_and_an_address_that_left_for_a_day(
    conn: Connection, judge: Callable[..., Any], seen: dict[str, timedelta], state: str
) -> None:
    put(conn, state="unverified")
    answer(conn, **seen)

    assert [found for found, _ in judge()] == [state]


def test_an_admitted_callback_is_sent_by_the_same_relay(
    settings: Settings, conn: Connection, valkey: "redis.Redis"
) -> None:
    ids = put(conn, state="unverified")
    answer(conn, first=HOUR)

    with running(settings):
        until(lambda: sent(valkey))

    assert sent(valkey) == ids


def test_what_strangers_sent_is_dropped_after_a_week(conn: Connection, judge: Callable[..., Any]) -> None:
    old, parked = put(conn, state="refused")[0], put(conn, state="refused")[0]
    young = put(conn, state="refused")[0]
    conn.execute("UPDATE pipeline.callbacks SET received_at = now() - interval '8 days' WHERE id <> %s", [young])
    conn.execute("UPDATE pipeline.callbacks SET state = 'parked' WHERE id = %s", [parked])

    judge()

    left = {str(row[0]) for row in conn.execute("SELECT id FROM pipeline.callbacks")}
    assert left == {parked, young}
    assert old not in left


def test_a_relay_stops_in_time_without_a_broker(database_url: str, conn: Connection) -> None:
    relay = Relay(Settings.load("relay", {"DATABASE_URL": database_url, "BROKER_URL": "redis://127.0.0.1:1/0"}))
    running = threading.Thread(target=relay.run)
    with capture_logs() as logs:
        running.start()
        until(lambda: "relay.broker_away" in {line["event"] for line in logs})

        relay.stop()
        running.join(15)

    assert not running.is_alive()


def test_a_lease_takes_no_more_than_its_batch_however_it_is_planned(conn: Connection) -> None:
    """A plan that joins chose anew for every row, past the limit."""
    put(conn, 120)
    with conn.transaction():
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize"):
            conn.execute(f"SET LOCAL enable_{way} = off".encode())
        taken = conn.execute(work_query("callbacks", "lease"), {"lease": 30, "batch": 7}).fetchall()

    assert len(taken) == 7
