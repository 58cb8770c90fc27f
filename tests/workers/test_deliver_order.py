"""What is queued for whom, and in which order it leaves."""

import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from psycopg import Connection

from deploy.deliveries import Chosen, replay
from deploy.subscriptions import Added, Wishes, add, remove
from schemas.sealing import KeyRing
from schemas.sql.queries import work_query

BODY = "{}"
KEYS = KeyRing.parse(KeyRing.generate())
LOCAL = (ip_network("127.0.0.0/8"),)


def subscribe(conn: Connection, url: str, types: list[str] | None = None) -> Added:
    return add(conn, url, Wishes(types=types), keys=KEYS, private=LOCAL)


def test_only_wanted_types_are_queued(line: Any, conn: Connection, subscriber: Any) -> None:
    subscribe(conn, subscriber.url("/all"))
    subscribe(conn, subscriber.url("/some"), types=["kyc.workflow.expired.v1", "kyc.workflow.changed.v1"])
    ended = subscribe(conn, subscriber.url("/ended"))
    remove(conn, str(ended.id))

    assert len(line.ids(line.emit(BODY))) == 1
    assert len(line.ids(line.emit(BODY, type_="kyc.workflow.changed.v1"))) == 2
    assert len(line.ids(line.emit(BODY, stream=True))) == 2


def test_filters_are_all_met_or_nothing_is_queued(line: Any, conn: Connection, subscriber: Any) -> None:
    other = type(line)(conn, {**line.key, "tenant": "acme", "family": "document"})
    for path, filters in {
        "/tenant": {"tenants": ["acme", "other"]},
        "/family": {"families": ["document", "netverify"]},
        "/both": {"tenants": ["acme"], "families": ["kyx"]},
        "/outcome": {"outcomes": ["rejected"], "families": ["document"]},
    }.items():
        add(conn, subscriber.url(path), Wishes(**filters), keys=KEYS, private=LOCAL)

    assert _paths(line, line.emit(_said("rejected"))) == []
    assert _paths(other, other.emit(_said("passed"))) == ["/family", "/tenant"]
    assert _paths(other, other.emit(_said("rejected"))) == ["/family", "/outcome", "/tenant"]


def test_who_was_told_an_outcome_is_told_what_becomes_of_it(line: Any, conn: Connection, subscriber: Any) -> None:
    add(conn, subscriber.url("/passed"), Wishes(outcomes=["passed"]), keys=KEYS, private=LOCAL)

    assert _paths(line, line.emit(_said("warning"))) == []
    assert _paths(line, line.emit('{"data":{"images_stored":2}}')) == []
    assert _paths(line, line.emit(_said("passed"))) == ["/passed"]
    assert _paths(line, line.emit('{"data":{"images_stored":2}}')) == ["/passed"]
    assert _paths(line, line.emit(_said("rejected"))) == ["/passed"]


def test_who_was_told_is_known_for_as_long_as_there_is_a_verdict(line: Any, conn: Connection, subscriber: Any) -> None:
    add(conn, subscriber.url("/passed"), Wishes(outcomes=["passed"]), keys=KEYS, private=LOCAL)
    add(conn, subscriber.url("/rejected"), Wishes(outcomes=["rejected"]), keys=KEYS, private=LOCAL)
    replayed = line.emit('{"data":{"images_stored":2}}')
    with conn.transaction():
        # Without the callback and the report that it rests on.
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute(
            "INSERT INTO pipeline.verdicts (tenant, family, workflow_key, version, outcome, label, reasons, valid_from,"
            " digest, rests_on, callback_id, report_id) VALUES (%(tenant)s, %(family)s, %(workflow_key)s, 1, 'passed',"
            " 'PASSED', '[]', now(), sha256('x'), 'retrieval', gen_random_uuid(), gen_random_uuid())",
            line.key,
        )

    # Retention has deleted the event of that verdict; only the one from before it is there.
    assert _paths(line, line.emit('{"data":{"reason":"erasure"}}', type_="kyc.subject.erased.v1")) == ["/passed"]
    assert replay(conn, Chosen(event_id=replayed)) == 0


def test_the_next_event_waits_until_the_one_before_is_settled(line: Any, conn: Connection, subscriber: Any) -> None:
    subscribe(conn, subscriber.url("/status/500"))
    [first] = line.ids(line.emit(BODY))
    [second] = line.ids(line.emit(BODY))

    assert line.lease() == [first]
    _postpone(line, first)
    assert line.lease() == [first]
    _finish(line, first, "parked")
    assert line.lease() == [second]


def test_one_dead_subscriber_holds_up_only_itself(
    line: Any, conn: Connection, subscriber: Any, open_subscriber: Callable[[], Any]
) -> None:
    subscribe(conn, subscriber.url("/status/500"))
    subscribe(conn, open_subscriber().url())
    dead, alive = _by_subscription(line, line.emit(BODY, stream=True))
    stream = line.lease()
    assert {dead, alive} < set(stream)

    _finish(line, alive, "delivered")
    line.emit(BODY, stream=True)

    [leased] = line.lease()
    [[subscription]] = conn.execute(
        "SELECT d.subscription_id = (SELECT subscription_id FROM pipeline.deliveries WHERE id = %s) "
        "FROM pipeline.deliveries d WHERE d.id = %s",
        [alive, leased],
    ).fetchall()
    assert subscription is True


def test_other_workflows_do_not_wait(line: Any, conn: Connection, subscriber: Any) -> None:
    subscribe(conn, subscriber.url())
    line.emit(BODY)
    other = type(line)(conn)
    other.emit(BODY)

    assert len(line.lease()) == 2


def test_the_order_is_read_from_its_index(line: Any, conn: Connection, subscriber: Any) -> None:
    """Whatever the figures say: this many rows of one workflow tempt the planner into a join."""
    added = subscribe(conn, subscriber.url())
    with conn.transaction(force_rollback=True):
        values = {**line.key, "subscription": added.id}
        conn.execute(
            "INSERT INTO pipeline.events (id, tenant, family, workflow_key, sequence, type, occurred_at, body)"
            " SELECT gen_random_uuid(), %(tenant)s, %(family)s, %(workflow_key)s, n, 'x', now(), '{}'"
            " FROM generate_series(1, 10000) n",
            values,
        )
        conn.execute(
            "INSERT INTO pipeline.deliveries (id, event_id, destination, subscription_id, tenant, family, workflow_key,"
            " sequence, next_attempt_at, state, finished_at) SELECT gen_random_uuid(), id, 'webhook', %(subscription)s,"
            " tenant, family, workflow_key, sequence, now(),"
            " CASE WHEN sequence %% 2 = 0 THEN 'pending' ELSE 'delivered' END,"
            " CASE WHEN sequence %% 2 = 0 THEN NULL ELSE now() END FROM pipeline.events",
            values,
        )
        conn.execute("ANALYZE pipeline.deliveries")
        explain = b"EXPLAIN (ANALYZE, COSTS OFF) " + work_query("deliveries", "lease")
        plan = "\n".join(row[0] for row in conn.execute(explain, {"lease": 30, "batch": 100}))

        [[counting]] = conn.execute(
            "SELECT replace(prosrc, 'under_way.target', quote_literal(%s)) FROM pg_proc WHERE proname = 'under_way'",
            [str(added.id)],
        ).fetchall()
        counted = "\n".join(row[0] for row in conn.execute(f"EXPLAIN {counting}".encode()))

    assert "rows=1.00" in plan.splitlines()[0]
    assert "deliveries_order" in plan
    assert "deliveries_due" in plan
    assert "deliveries_under_way" in counted
    assert "Seq Scan on deliveries" not in plan
    assert "Hash Join" not in plan
    assert "Merge" not in plan


def _said(outcome: str) -> str:
    return json.dumps({"data": {"outcome": outcome}})


def _paths(line: Any, event_id: UUID) -> list[str]:
    """Whose subscriptions it is queued for."""
    statement = (
        "SELECT s.url FROM pipeline.deliveries d JOIN pipeline.subscriptions s ON s.id = d.subscription_id"
        " WHERE d.event_id = %s"
    )
    return sorted("/" + row[0].rpartition("/")[2] for row in line.conn.execute(statement, [event_id]))


def _finish(line: Any, delivery_id: UUID, state: str) -> None:
    [[attempts]] = line.conn.execute("SELECT attempts FROM pipeline.deliveries WHERE id = %s", [delivery_id]).fetchall()
    values = {"id": delivery_id, "attempt": attempts, "state": state, "error": "x: y"}
    line.conn.execute(work_query("deliveries", "finish"), values)


def _by_subscription(line: Any, event_id: UUID) -> list[UUID]:
    statement = (
        "SELECT d.id FROM pipeline.deliveries d JOIN pipeline.subscriptions s ON s.id = d.subscription_id "
        "WHERE d.event_id = %s ORDER BY s.created_at"
    )
    return [row[0] for row in line.conn.execute(statement, [event_id])]


def _postpone(line: Any, delivery_id: UUID) -> None:
    """An attempt that failed and is due again."""
    values = {"id": delivery_id, "attempt": line.claim(delivery_id), "delay": 0, "error": "x: y", "forgive": 0}
    line.conn.execute(work_query("deliveries", "retry"), values)
