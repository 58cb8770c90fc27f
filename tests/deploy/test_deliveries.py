"""What was sent to whom; and sent again, with the same id and in order, or not put back where that would break it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis
from psycopg import Connection
from pydantic import SecretStr

from deploy.deliveries import Chosen, read_deliveries, render_deliveries, replay
from deploy.requeue import count_overtaken, requeue_parked
from deploy.subscriptions import Added, Wishes, add, pause, remove
from schemas.sealing import KeyRing
from schemas.settings import Settings
from tests.workers.conftest import Line, Subscriber, running_subscriber
from workers import store
from workers.deliver import Destinations, deliver
from workers.errors import OvertakenError, WaitError

KEYS = KeyRing.parse(KeyRing.generate())
LOCAL = (ip_network("127.0.0.0/8"),)
BODY = '{"data":{"outcome":"passed"}}'


@pytest.fixture
def line(conn: Connection) -> Line:
    return Line(conn)


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with running_subscriber() as running:
        yield running


@pytest.fixture
def destinations() -> Iterator[Destinations]:
    settings = Settings(encryption_keys=KEYS, subscriber_private_cidrs=LOCAL, broker_url=SecretStr("amqp://nowhere"))
    opened = Destinations(settings, seconds=2.0)
    yield opened
    opened.close()


def subscribe(conn: Connection, url: str, **filters: Any) -> Added:
    return add(conn, url, Wishes(**filters), keys=KEYS, private=LOCAL)


def settle(line: Line, event_id: UUID, state: str) -> None:
    for delivery_id in line.ids(event_id):
        error = None if state == "delivered" else "subscriber_away: status 500"
        number = line.claim(delivery_id)
        store.finish(line.conn, "deliveries", delivery_id, attempt=number, state=state, error=error)


def states(conn: Connection) -> list[str]:
    return [row["state"] for row in reversed(read_deliveries(conn, Chosen(), state=None, most=100))]


def test_deliveries_are_listed_with_what_they_wait_for(conn: Connection, line: Line) -> None:
    added = subscribe(conn, "http://127.0.0.1:1/a")
    first, second = line.emit(BODY), line.emit(BODY, stream=True)

    found = {
        (row["event_id"], row["destination"]): row for row in read_deliveries(conn, Chosen(), state="pending", most=9)
    }

    assert {key: row["held"] for key, row in found.items()} == {
        (str(first), "webhook"): None,
        (str(second), "webhook"): "order",
        (str(second), "stream"): None,
    }
    assert found[str(first), "webhook"]["subscription_id"] == str(added.id)
    assert found[str(first), "webhook"]["next_attempt_at"] is not None
    assert render_deliveries(list(found.values())).row_count == 3


@pytest.mark.parametrize("chosen", ["event", "workflow", "subscription", "since"])
def test_a_replay_sends_the_same_event_again_and_makes_no_other(
    conn: Connection, line: Line, subscriber: Subscriber, destinations: Destinations, chosen: str
) -> None:
    added = subscribe(conn, subscriber.url())
    event_id = line.emit(BODY, stream=True)
    settle(line, event_id, "delivered")
    what = {
        "event": Chosen(event_id=event_id),
        "workflow": Chosen(workflow_key=line.key["workflow_key"]),
        "subscription": Chosen(subscription_id=added.id),
        "since": Chosen(since=datetime.now(UTC) - timedelta(minutes=1)),
    }[chosen]

    assert replay(conn, what) == 1
    assert replay(conn, what) == 0
    [leased] = line.lease()
    deliver(conn, leased, attempt=line.claim(leased), destinations=destinations)

    [request] = subscriber.requests
    assert request.headers["webhook-id"] == str(event_id)
    assert request.headers["jumio-pipeline-replay"] == "1"
    [(count,)] = conn.execute("SELECT count(*) FROM pipeline.events").fetchall()
    assert count == 1
    assert states(conn) == ["delivered", "delivered"]
    [row] = read_deliveries(conn, Chosen(subscription_id=added.id), state=None, most=9)
    assert (row["replays"], row["attempts"], row["last_status"]) == (1, 1, 200)
    assert row["first_delivered_at"] < row["finished_at"]


def test_a_replay_of_a_workflow_keeps_its_order(conn: Connection, line: Line) -> None:
    subscribe(conn, "http://127.0.0.1:1/a")
    events = [line.emit(BODY) for _ in range(3)]
    for event_id in events:
        settle(line, event_id, "delivered")

    assert replay(conn, Chosen(workflow_key=line.key["workflow_key"])) == 3

    for event_id in events:
        assert line.lease() == line.ids(event_id)
        settle(line, event_id, "delivered")


def test_a_replay_reaches_who_came_later_and_only_who_wants_it(conn: Connection, line: Line) -> None:
    event_id = line.emit(BODY, type_="kyc.workflow.changed.v1")
    late = subscribe(conn, "http://127.0.0.1:1/late")
    subscribe(conn, "http://127.0.0.1:1/other", types=["kyc.workflow.decided.v1"])
    gone = subscribe(conn, "http://127.0.0.1:1/gone")
    remove(conn, str(gone.id))

    assert replay(conn, Chosen(event_id=event_id)) == 1

    [row] = read_deliveries(conn, Chosen(), state="pending", most=9)
    assert (row["subscription_id"], row["replays"]) == (str(late.id), 1)


def test_a_stream_that_lost_what_it_had_gets_it_again_marked(conn: Connection, line: Line, broker_url: str) -> None:
    pause(conn, str(subscribe(conn, "http://127.0.0.1:1/a").id))
    had, missed = line.emit(BODY, stream=True), line.emit(BODY)
    [delivery_id] = conn.execute("SELECT id FROM pipeline.deliveries WHERE target = 'stream'").fetchall()[0]
    store.finish(conn, "deliveries", delivery_id, attempt=line.claim(delivery_id), state="delivered")

    assert replay(conn, Chosen(workflow_key=line.key["workflow_key"], destination="stream")) == 2

    again = Destinations(Settings(encryption_keys=KEYS, broker_url=SecretStr(broker_url)))
    for _ in (had, missed):
        [due] = line.lease()
        deliver(conn, due, attempt=line.claim(due), destinations=again)
    again.close()
    with redis.Redis.from_url(broker_url, decode_responses=True) as client:
        entries = [fields for _, fields in client.xrange("jumio:events")]
    assert [(fields["id"], fields["replays"]) for fields in entries] == [(str(had), "1"), (str(missed), "1")]


def test_what_was_overtaken_is_not_put_back_but_can_be_replayed(conn: Connection, line: Line) -> None:
    subscribe(conn, "http://127.0.0.1:1/a")
    overtaken, later, last = line.emit(BODY), line.emit(BODY), line.emit(BODY)
    settle(line, overtaken, "parked")
    settle(line, later, "delivered")
    settle(line, last, "parked")

    counts = requeue_parked(conn, "subscriber_away")

    assert counts["deliveries"] == 1
    assert count_overtaken(conn, "subscriber_away") == 1
    assert states(conn) == ["parked", "delivered", "pending"]
    # By name, an operator may; the subscriber sees that it is a replay, and the rest of the workflow waits for it.
    assert replay(conn, Chosen(event_id=overtaken)) == 1
    assert line.lease() == line.ids(overtaken)


def test_what_was_delivered_before_a_replay_has_overtaken_all_the_same(
    conn: Connection, line: Line, destinations: Destinations
) -> None:
    subscribe(conn, "http://127.0.0.1:1/a")
    first, second = line.emit(BODY), line.emit(BODY)
    settle(line, first, "parked")
    settle(line, second, "delivered")
    assert replay(conn, Chosen(event_id=second)) == 1

    assert requeue_parked(conn, None)["deliveries"] == 0
    # Put back a moment before, as a large requeue does it.
    [delivery_id] = line.ids(first)
    conn.execute(
        "UPDATE pipeline.deliveries SET state = 'pending', finished_at = NULL, requeued_at = now() WHERE id = %s",
        [delivery_id],
    )
    with pytest.raises(OvertakenError):
        deliver(conn, delivery_id, attempt=line.claim(delivery_id), destinations=destinations)


def test_nothing_stays_parked_for_a_subscription_that_ended(
    conn: Connection, line: Line, destinations: Destinations
) -> None:
    added = subscribe(conn, "http://127.0.0.1:1/a")
    first, second = line.emit(BODY), line.emit(BODY)
    settle(line, first, "parked")
    settle(line, second, "delivered")
    remove(conn, str(added.id))
    assert states(conn) == ["cancelled", "delivered"]

    # From before: what was overtaken, and parked when its subscription ended.
    conn.execute("UPDATE pipeline.deliveries SET state = 'parked' WHERE state = 'cancelled'")
    assert requeue_parked(conn, None)["deliveries"] == 1
    [leased] = line.lease()
    deliver(conn, leased, attempt=line.claim(leased), destinations=destinations)
    assert states(conn) == ["cancelled", "delivered"]


def test_a_look_that_finds_nothing_due_writes_nothing(conn: Connection, line: Line) -> None:
    subscribe(conn, "http://127.0.0.1:1/a")
    settle(line, line.emit(BODY), "delivered")

    with conn.transaction():
        assert line.lease() == []
        assert conn.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() == (None,)


@pytest.mark.parametrize("later", ["delivered", "in hand"])
def test_what_is_overtaken_while_it_is_put_back_is_not_sent_unmarked(
    conn: Connection, database_url: str, line: Line, destinations: Destinations, *, subscriber: Subscriber, later: str
) -> None:
    """A large requeue is one transaction; workers go on meanwhile, and see nothing of it."""
    subscribe(conn, subscriber.url())
    [first], [second] = line.ids(line.emit(BODY)), line.ids(line.emit(BODY))
    store.finish(conn, "deliveries", first, attempt=line.claim(first), state="parked", error="subscriber_away: x")
    with psycopg.connect(database_url, autocommit=True) as operator, operator.transaction():
        assert requeue_parked(operator, None)["deliveries"] == 1
        number = line.claim(second)
        if later == "delivered":
            deliver(conn, second, attempt=number, destinations=destinations)

    refused = OvertakenError if later == "delivered" else WaitError
    with pytest.raises(refused):
        deliver(conn, first, attempt=line.claim(first), destinations=destinations)

    if later == "in hand":
        assert deliver(conn, second, attempt=number, destinations=destinations) is None
    assert len(subscriber.requests) == (1 if later == "delivered" else 0)


def test_what_a_later_one_is_just_being_sent_after_is_not_put_back(conn: Connection, line: Line) -> None:
    subscribe(conn, "http://127.0.0.1:1/a")
    first, second = line.emit(BODY), line.emit(BODY)
    settle(line, first, "parked")
    line.claim(line.ids(second)[0])

    assert requeue_parked(conn, None)["deliveries"] == 0
