"""compliance.timeline: what happened to one verification, told by the rows that the line wrote."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from deploy.demo.subscriber import running_subscriber
from deploy.erasure.subject import Subject
from deploy.holds import place, release
from deploy.requeue import requeue_callback
from deploy.simulator.run import Simulator
from deploy.subscriptions import add
from schemas.settings import Settings
from tests.line.conftest import Hand
from tests.line.test_steps import NOW, callback

SECRET_PATH = "/PLANTED-PATH-8127"


def test_a_correction_is_told_from_the_door_to_the_subscriber(
    hand: Hand, simulator: Simulator, settings: Settings
) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    with running_subscriber() as subscriber:
        url = subscriber.url + SECRET_PATH
        subscriber.secret = add(hand.conn, url, keys=settings.keys, private=settings.subscriber_private_cidrs).secret
        hand.receive(callback(execution))
        hand.run_until_idle()
        execution.correct()
        hand.receive(callback(execution, sent_at=NOW + timedelta(days=1)))
        hand.run_until_idle()

    told = timeline(hand.conn, execution.key)

    assert [row["at"] for row in told] == sorted(row["at"] for row in told)
    assert in_order(
        [row["what"] for row in told],
        "callback.arrived report.fetched verdict.decided event.emitted event.delivered"
        " callback.arrived report.fetched verdict.revised event.emitted event.delivered",
    )
    assert {"journey.started", "journey.finished"} <= {row["what"] for row in told}
    words = [row["words"] for row in told]
    assert "Callback PROCESSED arrived from 127.0.0.11, which is Jumio's by DNS" in words
    assert any(line.startswith("Decided: passed (PASSED), risk score ") for line in words)
    assert any(line.startswith(f"Revised, version 2: {execution.expectation.outcome} (") for line in words)
    assert any(", it was passed" in line for line in words)
    assert sum(row["what"] == "image.stored" for row in told) == execution.expectation.images
    host = subscriber.url.removeprefix("http://").removesuffix("/events")
    assert f"Event 1 was delivered to {host}, which answered 204" in words
    assert "Event 1 was delivered to the stream" in words
    assert SECRET_PATH not in str(told)


def test_evidence_that_retention_deleted_is_told_as_gone(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    hand.receive(callback(execution))
    hand.run_until_idle()
    kept = "SELECT count(*) FILTER (WHERE report_kept AND callback_body_kept), count(*) FROM compliance.evidence"
    assert hand.conn.execute(kept).fetchone() == (1, 1)

    hand.conn.execute("UPDATE pipeline.reports SET sealed = ''; UPDATE pipeline.callbacks SET sealed_body = ''")

    assert hand.conn.execute(kept).fetchone() == (0, 1)
    left = [row["words"] for row in timeline(hand.conn, execution.key) if not row["details"].get("kept", True)]
    assert len(left) == 2
    assert all(line.endswith("kept until retention deleted it" if "Callback" in line else "them") for line in left)


def test_what_did_not_go_well_is_told_with_its_reason(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    callback_id = hand.receive(callback(execution))
    hand.conn.execute(
        "UPDATE pipeline.callbacks SET state = 'parked', finished_at = now(), last_error = 'test: unreadable',"
        " workflow_key = %s, family = 'kyx', status = 'PROCESSED' WHERE id = %s",
        [execution.key, callback_id],
    )

    parked = timeline(hand.conn, execution.key)
    requeue_callback(hand.conn, callback_id)
    hand.run_until_idle()

    assert parked[-1]["words"] == "Callback PROCESSED was parked (test: unreadable)"
    told = timeline(hand.conn, execution.key)
    assert in_order([row["what"] for row in told], "callback.arrived callback.requeued callback.done verdict.decided")


def test_who_read_is_told_and_why_is_not(conn: Connection) -> None:
    """A reason may name the person, and who reads the timeline has not said why."""
    open_workflow(conn, "default", "kyx")
    conn.execute(
        "SELECT pipeline.append_audit('identity.revealed', 'default', NULL, 'KEY', 'about PLANTED-NAME-8128', '{}')"
    )
    conn.execute("SELECT pipeline.append_audit('hold.placed', 'other', NULL, 'KEY', 'another tenant''s', '{}')")
    # What is not sealed yet may not be committed either.
    assert timeline(conn, "KEY") == []
    conn.execute("SELECT pipeline.seal_audit()")

    [told] = timeline(conn, "KEY")

    assert told["what"] == "identity.revealed"
    assert " was shown the identity in the clear; why is in the audit trail, row " in told["words"]
    assert "PLANTED" not in str(told)


def test_a_key_of_several_tenants_and_families_can_be_narrowed(conn: Connection) -> None:
    for tenant, family in (("default", "kyx"), ("default", "document"), ("other", "kyx")):
        open_workflow(conn, tenant, family, started=True)

    assert len(timeline(conn, "KEY")) == 3
    assert {row["tenant"] for row in timeline(conn, "KEY", "other")} == {"other"}
    assert [(row["tenant"], row["family"]) for row in timeline(conn, "KEY", "default", "document")] == [
        ("default", "document")
    ]


def test_an_image_that_is_not_to_be_had_and_a_source_judged_later_are_told(conn: Connection) -> None:
    open_workflow(conn, "default", "kyx")
    conn.execute(
        "INSERT INTO pipeline.images (id, tenant, family, workflow_key, account_id, credential_id, category,"
        " classifier, offered, state, finished_at, last_error)"
        " VALUES (gen_random_uuid(), 'default', 'kyx', 'KEY', '', '', 'ID', 'FRONT',"
        " true, 'missing', now(), 'gone: 404')"
    )
    conn.execute(
        "INSERT INTO pipeline.callbacks (id, tenant, source_evidence, bytes, sha256, sealed_body, sealed_head, state,"
        " workflow_key, family, received_at) VALUES (gen_random_uuid(), 'default', %s, 0, sha256(''), '', '', 'stored',"
        " 'KEY', 'kyx', '2026-03-01')",
        [Jsonb({"rule": "unverified", "judged_at": "2026-03-02T00:00:00Z", "name": "callback.jumio.example"})],
    )

    assert [row["words"] for row in timeline(conn, "KEY")] == [
        "A callback arrived from an unreadable address, kept to be judged by the first DNS answer",
        "Its source was judged by a DNS answer: an address of callback.jumio.example",
        "Image FRONT of ID is not to be had (gone: 404)",
    ]


def test_an_analyst_may_ask_and_read_no_table(conn: Connection) -> None:
    open_workflow(conn, "default", "kyx", started=True)
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL ROLE compliance_analyst")

        assert len(timeline(conn, "KEY")) == 1
        assert conn.execute("SELECT count(*) FROM compliance.verdicts_as_of(now())").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("SELECT FROM pipeline.workflows")


def timeline(conn: Connection, *key: str) -> list[dict[str, Any]]:
    marks = ", ".join("%s" for _ in key)
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SELECT * FROM compliance.timeline({marks})".encode(), key).fetchall()


def in_order(story: list[str], expected: str) -> bool:
    """Whether these come one after the other, with anything between."""
    rest = iter(story)
    return all(what in rest for what in expected.split())


def open_workflow(conn: Connection, tenant: str, family: str, *, started: bool = False) -> None:
    conn.execute(
        "INSERT INTO pipeline.workflows (tenant, family, workflow_key, status, started_at)"
        " VALUES (%s, %s, 'KEY', 'INITIATED', CASE WHEN %s THEN now() END)",
        [tenant, family, started],
    )


def test_searches_that_found_it_and_holds_on_its_person_are_told(conn: Connection) -> None:
    open_workflow(conn, "default", "kyx")
    conn.execute("UPDATE pipeline.workflows SET account_id = 'ACCOUNT', user_reference = 'PERSON'")
    for key in ("KEY", "OTHER"):
        found = Jsonb({"step": "asked", "found": [["default", "kyx", key]]})
        conn.execute(
            "SELECT pipeline.append_audit('person.searched', NULL, NULL, NULL, 'about PLANTED-NAME-8128', %s)", [found]
        )
    place(conn, Subject("default", "account", "ACCOUNT"), reason="case 4711")
    place(conn, Subject("default", "user-reference", "ANOTHER"), reason="case 4712")
    release(conn, Subject("default", "account", "ACCOUNT"), reason="case 4711 is closed")
    conn.execute("SELECT pipeline.seal_audit()")

    told = timeline(conn, "KEY")

    assert [row["what"] for row in told] == ["person.searched", "hold.placed", "hold.released"]
    assert "searched for a person, and this was found; why is in the audit trail, row " in told[0]["words"]
    assert told[1]["words"].endswith(" placed a legal hold on its account")
    assert "PLANTED" not in str(told)
