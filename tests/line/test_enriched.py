"""A subscription that asked for more gets it: the same bytes at every try, on record, and nobody else sees it."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row

from deploy.simulator.run import Simulator
from deploy.subscriptions import SubscriptionError, Wishes, add
from schemas.settings import Settings
from tests.events import validate_event
from tests.line.conftest import Hand
from tests.line.test_steps import callback
from tests.workers.conftest import Subscriber


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Subscribe = Callable[..., Any]


@pytest.fixture
def subscribe(conn: Connection, settings: Settings, subscriber: Subscriber) -> Subscribe:
    def subscribe(path: str, **options: Any) -> object:
        private = settings.subscriber_private_cidrs
        return add(conn, subscriber.url(path), Wishes(**options), keys=settings.keys, private=private)

    return subscribe


def test_each_gets_what_it_asked_for_and_what_is_in_the_catalogue(
    hand: Hand, simulator: Simulator, subscriber: Subscriber, subscribe: Subscribe
) -> None:
    subscribe("/thin")
    subscribe("/checks", enrich=["checks"])
    subscribe("/identity", enrich=["identity"])
    subscribe("/both", enrich=["checks", "identity"])
    [execution] = simulator.create(outcomes=["warning.repeated_face"])
    hand.receive(callback(execution))

    hand.run_until_idle()

    sent = decided(subscriber)
    for event in sent.values():
        validate_event(event)
    thin = sent["thin"]["data"]
    assert "dataschema" not in sent["thin"]
    assert sent["checks"]["dataschema"] == "urn:jumio-pipeline:kyc.workflow.decided.v1:enriched"
    assert {name: set(event["data"]) - set(thin) for name, event in sent.items()} == {
        "thin": set(),
        "checks": {"evidence"},
        "identity": {"identities"},
        "both": {"evidence", "identities"},
    }
    assert {event["id"] for event in sent.values()} == {sent["thin"]["id"]}
    evidence = sent["both"]["data"]["evidence"]
    assert {(each["check"], each["label"]) for each in evidence["reasons"]} == set(execution.expectation.failed_checks)
    assert [(each["name"], each["outcome"]) for each in evidence["checks"]] == [
        (each["name"], each["outcome"]) for each in thin["checks"]
    ]
    [identity] = sent["both"]["data"]["identities"]
    [[first_name]] = hand.conn.execute("SELECT first_name FROM pipeline.identities").fetchall()
    assert identity["first_name"] == first_name


def test_reading_who_it_is_is_in_the_audit_trail_once_a_delivery(
    hand: Hand, simulator: Simulator, subscribe: Subscribe
) -> None:
    added = subscribe("/hook", enrich=["identity"])
    subscribe("/checks", enrich=["checks"])
    [execution] = simulator.create(outcomes=["passed"])
    hand.receive(callback(execution))

    hand.run_until_idle(lambda due: due.extend(due))

    trail = rows(hand.conn, "SELECT * FROM compliance.audit_trail WHERE action = 'event.enriched'")
    events = rows(hand.conn, "SELECT event_id FROM compliance.events")
    assert len(events) == 2
    assert [(row["tenant"], row["workflow_key"]) for row in trail] == [("default", execution.key)] * 2
    assert {row["details"]["event"] for row in trail} == {str(event["event_id"]) for event in events}
    assert {row["details"]["subscription"] for row in trail} == {str(added.id)}


def test_every_try_sends_the_same_bytes_whatever_happens_between(
    hand: Hand, simulator: Simulator, subscriber: Subscriber, subscribe: Subscribe
) -> None:
    subscribe("/status/503", enrich=["checks", "identity"], types=["kyc.workflow.decided.v1"])
    [execution] = simulator.create(outcomes=["passed"])
    [callback_id] = [hand.receive(callback(execution))]
    hand.work("callbacks", callback_id).run(hand.conn)
    [delivery_id] = hand.conn.execute("SELECT id FROM pipeline.deliveries WHERE destination = 'webhook'").fetchall()[0]

    hand.work("deliveries", delivery_id).run(hand.conn)
    [[first_name, sealed]] = hand.conn.execute(
        "SELECT first_name, sealed_body FROM pipeline.identities, pipeline.deliveries WHERE destination = 'webhook'"
    ).fetchall()
    hand.conn.execute("DELETE FROM pipeline.identities")
    hand.conn.execute("UPDATE pipeline.checks SET label = 'another'")
    hand.work("deliveries", delivery_id).run(hand.conn)

    first, second = (request.body for request in subscriber.requests)
    assert first == second
    assert first_name.encode() in first
    assert first_name.encode() not in sealed
    hand.conn.execute("UPDATE pipeline.subscriptions SET url = %s", [subscriber.url("/hook")])
    hand.work("deliveries", delivery_id).run(hand.conn)
    assert [request.body for request in subscriber.requests] == [first] * 3
    [left] = rows(hand.conn, "SELECT state, sealed_body FROM pipeline.deliveries WHERE destination = 'webhook'")
    assert left == {"state": "delivered", "sealed_body": None}


def test_a_worker_sees_an_identity_for_such_a_delivery_only(
    hand: Hand, simulator: Simulator, subscriber: Subscriber, subscribe: Subscribe, login: Callable[[str], str]
) -> None:
    subscribe("/checks", enrich=["checks"])
    subscribe("/identity", enrich=["identity"])
    [execution] = simulator.create(outcomes=["passed"])
    [callback_id] = [hand.receive(callback(execution))]
    hand.work("callbacks", callback_id).run(hand.conn)
    deliveries = rows(
        hand.conn,
        "SELECT d.id, s.enrich FROM pipeline.deliveries d JOIN pipeline.subscriptions s ON s.id = d.subscription_id",
    )

    with psycopg.connect(login("jumio_worker"), autocommit=True) as worker:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            worker.execute("SELECT * FROM pipeline.identities")
        seen = {
            each["enrich"][0]: len(
                worker.execute("SELECT * FROM pipeline.take_identities(%s)", [each["id"]]).fetchall()
            )
            for each in deliveries
        }
        for each in deliveries:
            hand.work("deliveries", each["id"]).run(worker)

    assert seen == {"checks": 0, "identity": 1}
    assert set(decided(subscriber)) == {"checks", "identity"}


def test_an_unknown_enrichment_is_refused(subscribe: Subscribe) -> None:
    with pytest.raises(SubscriptionError, match="there are: checks, identity"):
        subscribe("/hook", enrich=["selfie"])


def decided(subscriber: Subscriber) -> dict[str, Any]:
    """The first event of each path's end."""
    events = [(request.path.rpartition("/")[2], json.loads(request.body)) for request in subscriber.requests]
    return {path: event for path, event in events if event["type"] == "kyc.workflow.decided.v1"}


def rows(conn: Connection, sql: str) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.encode()).fetchall()
