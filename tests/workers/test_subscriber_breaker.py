"""A subscriber that keeps failing: left in peace, told of, probed, and served in order when it is back."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from pydantic import SecretStr
from structlog.testing import capture_logs

from deploy.status import read_status
from deploy.subscriptions import add, pause, resume
from schemas.sealing import KeyRing
from schemas.settings import DELIVERY_RETRY_SECONDS, Settings
from tests.workers.conftest import Line
from workers import store
from workers.deliver import Destinations, deliver
from workers.destinations.breaker import STORM
from workers.errors import WaitError
from workers.work import Work

KEYS = KeyRing.parse(KeyRing.generate())
LOCAL = (ip_network("127.0.0.0/8"),)
BODY = "{}"


@pytest.fixture
def destinations() -> Iterator[Destinations]:
    settings = Settings(encryption_keys=KEYS, subscriber_private_cidrs=LOCAL, broker_url=SecretStr("amqp://nowhere"))
    opened = Destinations(settings, seconds=2.0)
    yield opened
    opened.close()


@pytest.fixture
def lines(conn: Connection) -> list[Line]:
    """More workflows than a storm needs."""
    return [Line(conn) for _ in range(STORM + 5)]


def run(conn: Connection, delivery_id: UUID, destinations: Destinations) -> None:
    """As a sender does."""

    def step(conn: Connection, attempt: int) -> None:
        deliver(conn, delivery_id, attempt=attempt, destinations=destinations)

    Work("deliveries", delivery_id, DELIVERY_RETRY_SECONDS, step).run(conn)


def subscription(conn: Connection) -> tuple[int, bool, bool]:
    [row] = conn.execute(
        "SELECT failures, probe_at > now() + interval '55 seconds', paused_at IS NOT NULL FROM pipeline.subscriptions"
    ).fetchall()
    return row


def test_a_target_has_only_so_much_under_way(conn: Connection, subscriber: Any, lines: list[Line]) -> None:
    add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    for line in lines:
        line.emit(BODY, stream=True)

    under_way = lines[0].lease()

    assert len(under_way) == 12
    assert lines[0].lease() == []
    conn.execute(
        "UPDATE pipeline.deliveries SET state = 'delivered', finished_at = now(), leased_until = NULL"
        " WHERE id = ANY(%s)",
        [under_way[:3]],
    )
    assert len(lines[0].lease()) == 3


def test_one_that_failed_is_tried_one_at_a_time(
    conn: Connection, subscriber: Any, lines: list[Line], destinations: Destinations
) -> None:
    add(conn, subscriber.url("/status/500"), keys=KEYS, private=LOCAL)
    first = lines[0].emit(BODY)
    run(conn, lines[0].ids(first)[0], destinations)
    for line in lines[1:]:
        line.emit(BODY)

    assert len(lines[0].lease()) == 1
    assert lines[0].lease() == []


def test_five_failures_in_a_row_pause_it_and_the_operator_is_told(
    conn: Connection, subscriber: Any, lines: list[Line], destinations: Destinations
) -> None:
    added = add(conn, subscriber.url("/status/503"), keys=KEYS, private=LOCAL)
    ids = [line.ids(line.emit(BODY))[0] for line in lines]

    with capture_logs() as logs:
        for delivery_id in ids[:STORM]:
            run(conn, delivery_id, destinations)

    assert subscription(conn) == (STORM, True, False)
    assert [each for each in logs if each["event"] == "subscription.paused"] == [
        {
            "event": "subscription.paused",
            "log_level": "error",
            "subscription_id": str(added.id),
            "reason": "subscriber_away: status 503",
        }
    ]
    assert lines[0].lease() == []
    status = read_status(conn)
    [trouble] = [text for text in status["trouble"] if "subscriptions resume" in text]
    assert f"{len(lines)} deliveries wait for {subscriber.url('/status/503')}, which failed 5 times in a row" in trouble
    # What is held on purpose is not called overdue.
    conn.execute("UPDATE pipeline.deliveries SET next_attempt_at = now() - interval '1 hour'")
    assert read_status(conn)["work"]["deliveries"]["overdue_seconds"] == 0


def test_a_probe_finds_that_it_is_back_and_everything_follows_in_order(
    conn: Connection, open_subscriber: Callable[[], Any], lines: list[Line], destinations: Destinations
) -> None:
    subscriber = open_subscriber()
    add(conn, subscriber.url("/switch"), keys=KEYS, private=LOCAL)
    subscriber.answer = 500
    firsts = [line.ids(line.emit(BODY))[0] for line in lines]
    seconds = [line.ids(line.emit(BODY))[0] for line in lines]
    for delivery_id in firsts[:STORM]:
        run(conn, delivery_id, destinations)
    conn.execute(
        "UPDATE pipeline.subscriptions SET probe_at = now(), failing_since = failing_since - interval '10 minutes'"
    )

    [probe] = lines[0].lease()
    assert lines[0].lease() == []
    run(conn, probe, destinations)
    assert subscription(conn) == (STORM + 1, True, False)
    assert lines[0].lease() == []

    subscriber.answer = 200
    conn.execute("UPDATE pipeline.subscriptions SET probe_at = now()")
    [probe] = lines[0].lease()
    with capture_logs() as logs:
        run(conn, probe, destinations)

    assert subscription(conn) == (0, None, False)
    assert {each["event"] for each in logs} == {"delivery.sent", "subscription.recovered"}
    sent = [probe]
    while leased := lines[0].lease():
        for delivery_id in leased:
            run(conn, delivery_id, destinations)
        sent += leased
    assert sorted(sent) == sorted(firsts + seconds)
    for first, second in zip(firsts, seconds, strict=True):
        assert sent.index(first) < sent.index(second)


def test_a_retry_after_holds_everything_for_that_subscriber(
    conn: Connection, subscriber: Any, lines: list[Line], destinations: Destinations
) -> None:
    add(conn, subscriber.url("/status/429/retry-after/90"), keys=KEYS, private=LOCAL)
    [delivery_id] = lines[0].ids(lines[0].emit(BODY))
    lines[1].emit(BODY)

    run(conn, delivery_id, destinations)

    assert subscription(conn) == (1, True, False)
    assert lines[0].lease() == []
    assert "which failed 1 times in a row" in "".join(read_status(conn)["trouble"])


def test_a_success_forgets_failures_and_hastens_nothing_after_a_short_outage(
    conn: Connection, subscriber: Any, lines: list[Line], destinations: Destinations
) -> None:
    add(conn, subscriber.url("/switch"), keys=KEYS, private=LOCAL)
    bad, good = (line.ids(line.emit(BODY))[0] for line in lines[:2])
    subscriber.answer = 500
    run(conn, bad, destinations)
    subscriber.answer = 204

    run(conn, good, destinations)

    assert subscription(conn) == (0, None, False)
    # The event that it does not like keeps to its own schedule.
    assert lines[0].lease() == []


def test_an_operator_pauses_and_resumes(conn: Connection, subscriber: Any, line: Any) -> None:
    added = add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    [delivery_id] = line.ids(line.emit(BODY))

    assert pause(conn, str(added.id))
    assert not pause(conn, subscriber.url())
    assert line.lease() == []
    conn.execute("UPDATE pipeline.deliveries SET next_attempt_at = now() + interval '1 day'")
    assert "paused by an operator" in "".join(read_status(conn)["trouble"])

    assert resume(conn, str(added.id)) == 1
    assert line.lease() == [delivery_id]


def test_a_pause_holds_what_the_relay_has_sent_already(
    conn: Connection, subscriber: Any, lines: list[Line], destinations: Destinations
) -> None:
    """Messages in Redis, and a row that a sender claimed a moment before, use up no try."""
    added = add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    [in_redis], [in_hand] = (line.ids(line.emit(BODY)) for line in lines[:2])
    assert set(lines[0].lease()) == {in_redis, in_hand}
    number = lines[0].claim(in_hand)

    pause(conn, str(added.id))
    run(conn, in_redis, destinations)
    with pytest.raises(WaitError):
        deliver(conn, in_hand, attempt=number, destinations=destinations)
    resume(conn, str(added.id))
    assert lines[0].lease() == [in_redis]
    conn.execute(
        "UPDATE pipeline.subscriptions SET failures = 1, failing_since = now(), probe_at = now() + interval '1 h'"
    )
    run(conn, in_redis, destinations)

    assert subscriber.connections == 0
    tried = conn.execute("SELECT attempts FROM pipeline.deliveries WHERE id = %s", [in_redis]).fetchall()
    assert tried == [(0,)]


def test_only_one_relay_at_a_time_takes_what_is_due(
    conn: Connection, database_url: str, subscriber: Any, lines: list[Line]
) -> None:
    add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    for line in lines:
        line.emit(BODY)
    with psycopg.connect(database_url, autocommit=True) as other:
        with conn.transaction():
            assert len(lines[0].lease()) == 6
            assert store.lease(other, "deliveries", seconds=30, batch=100) == []
        # The second took its snapshot before the first's commit, and counts after it.
        with other.transaction():
            other.execute(
                "DECLARE counting CURSOR FOR SELECT pipeline.under_way(target) FROM pipeline.deliveries LIMIT 1"
            )
            conn.execute("UPDATE pipeline.deliveries SET leased_until = NULL")
            assert other.execute("FETCH counting").fetchone() == (0,)


def test_what_waits_for_a_removed_subscription_is_still_taken_up(
    conn: Connection, subscriber: Any, line: Any, destinations: Destinations
) -> None:
    add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    line.emit(BODY)
    conn.execute("UPDATE pipeline.subscriptions SET removed_at = now(), paused_at = now()")

    [leased] = line.lease()
    run(conn, leased, destinations)

    assert line.row(leased)[0] == "cancelled"
