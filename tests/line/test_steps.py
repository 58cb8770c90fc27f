"""The steps, run twice, in any order, by several at once: one verdict, one history."""

import json
import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row

from deploy.requeue import requeue_callback, requeue_parked
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from tests.line.conftest import Hand

NOW = datetime.now(UTC)
ENDS = ["passed", "rejected.digital_copy", "warning.repeated_face", "token_expired.gone", "session_expired.older"]


@pytest.mark.parametrize("end", ENDS)
def test_one_callback_becomes_a_verdict_with_its_evidence(hand: Hand, simulator: Simulator, end: str) -> None:
    [execution] = simulator.create(outcomes=[end])
    hand.receive(callback(execution))

    hand.run_until_idle()

    [workflow] = view(hand.conn, "workflows")
    expected = execution.expectation
    assert (workflow["outcome"], workflow["verdict_version"]) == (expected.outcome, 1)
    assert (workflow["images_wanted"], workflow["images_stored"]) == (expected.images, expected.images)
    assert workflow["account_id"] == execution.account_id
    assert {(each["check"], each["label"]) for each in workflow["reject_reasons"]} == set(expected.failed_checks)
    types = [event["type"] for event in view(hand.conn, "events", "sequence")]
    first = "kyc.workflow.expired.v1" if expected.outcome == "expired" else "kyc.workflow.decided.v1"
    assert types == [first, "kyc.workflow.images-stored.v1"][: 2 if expected.images else 1]


@pytest.mark.parametrize("seed", range(6))
def test_steps_twice_in_any_order_end_the_same(hand: Hand, simulator: Simulator, seed: int) -> None:
    chance = random.Random(seed)
    executions = simulator.create(3, outcomes=["passed", "warning.alert", "rejected.no_match"])
    bodies = [
        callback(execution, status, sent_at=NOW + timedelta(seconds=seconds))
        for execution in executions
        for status, seconds in (("ACQUISITION_STARTED", -9), ("ACQUIRED", -5), ("PROCESSED", 0), ("PROCESSED", 3))
        for _ in range(2)
    ]
    chance.shuffle(bodies)
    for body in bodies:
        hand.receive(body)

    def twice(due: list[Any]) -> None:
        due.extend(due)
        chance.shuffle(due)

    hand.run_until_idle(twice)

    assert len(view(hand.conn, "workflows")) == len(view(hand.conn, "verdicts")) == len(executions)
    assert {row["status"] for row in view(hand.conn, "workflows")} == {"PROCESSED"}
    assert {row["state"] for row in view(hand.conn, "callbacks")} == {"done"}
    assert [row["sequence"] for row in view(hand.conn, "events", "workflow_key, sequence")] == [1, 2] * len(executions)
    assert all(row["images_wanted"] == row["images_stored"] for row in view(hand.conn, "workflows"))


def test_two_workers_at_once_write_one_verdict(hand: Hand, simulator: Simulator, database_url: str) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    ids = [hand.receive(callback(execution, sent_at=NOW + timedelta(seconds=second))) for second in range(8)]

    def run(row_id: Any) -> None:
        with psycopg.connect(database_url, autocommit=True) as conn:
            hand.work("callbacks", row_id).run(conn)

    threads = [threading.Thread(target=run, args=[row_id]) for row_id in ids * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hand.run_until_idle()

    assert len(view(hand.conn, "verdicts")) == 1
    assert {row["state"] for row in view(hand.conn, "callbacks")} == {"done"}


def test_a_corrected_result_is_a_new_version_and_a_changed_event(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    hand.receive(callback(execution))
    hand.run_until_idle()

    execution.correct()
    hand.receive(callback(execution, sent_at=NOW + timedelta(days=1)))
    hand.run_until_idle()

    versions = view(hand.conn, "verdicts", "version")
    assert [row["outcome"] for row in versions] == ["passed", execution.expectation.outcome]
    assert [row["type"] for row in view(hand.conn, "events", "sequence")][-1] == "kyc.workflow.changed.v1"
    with pytest.raises(psycopg.errors.RaiseException, match="never changed"):
        hand.conn.execute("UPDATE pipeline.verdicts SET outcome = 'passed'")


def test_a_status_on_the_way_is_shown_and_never_takes_a_verdict_back(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    for status in ("ACQUIRED", "INITIATED"):
        hand.receive(callback(execution, status))
        hand.run_until_idle()
    [before] = view(hand.conn, "workflows")

    hand.receive(callback(execution))
    hand.run_until_idle()
    hand.receive(callback(execution, "ACQUISITION_STARTED"))
    hand.run_until_idle()

    [after] = view(hand.conn, "workflows")
    assert (before["status"], before["outcome"], before["verdict_version"]) == ("ACQUIRED", "pending", 0)
    assert (after["status"], after["outcome"], after["verdict_version"]) == ("PROCESSED", "passed", 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b'{"workflowExecution": {"id"', "json"),
        (b'{"workflowExecution": NaN}', "number"),
        (b'{"userReference": "\\u0000"}', "nul_character"),
        (b"\xff\xfe{\x00}\x00", "encoding"),
        (b'{"a": 1, "a": 2}', "duplicate_keys"),
        (b"[" * 100_000, "depth"),
        (b"callBackType=NETVERIFYID&jumioIdScanReference=x", "shape"),
        (b"product=another&vendor=too", "family"),
        (b'{"workflowExecution": {"id": "../../admin", "status": "PROCESSED"}, "account": {"id": "a"}}', "id"),
    ],
)
def test_what_cannot_be_read_is_parked_with_a_reason_and_can_be_requeued(hand: Hand, body: bytes, reason: str) -> None:
    callback_id = hand.receive(body)

    hand.run_until_idle()

    [parked] = view(hand.conn, "callbacks")
    assert (parked["state"], parked["reason"].split(":")[0]) == ("parked", reason)
    assert requeue_parked(hand.conn, "another")["callbacks"] == 0
    assert requeue_parked(hand.conn, reason)["callbacks"] == 1
    assert hand.due("callbacks") == [callback_id]


def test_not_ready_is_tried_on_schedule_and_then_parked_and_requeued(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    simulator.world.faults.give(execution.key, "not_ready")
    hand.receive(callback(execution))
    hand.run_until_idle()
    [unknown] = Simulator(seed="elsewhere").create()
    unknown_id = hand.receive(callback(unknown))
    hand.run_until_idle()

    states = {row["workflow_key"]: row for row in view(hand.conn, "callbacks")}
    assert states[execution.key]["state"] == "done"
    assert states[unknown.key]["state"] == "parked"
    assert states[unknown.key]["reason"].startswith("jumio_not_found:")
    assert states[unknown.key]["attempts"] == len(hand.tools.settings.jumio_retry_seconds) + 1
    assert requeue_callback(hand.conn, unknown_id) == {"callbacks": 1}


def test_a_row_that_killed_every_worker_is_parked(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create()
    callback_id = hand.receive(callback(execution))
    hand.conn.execute("UPDATE pipeline.callbacks SET attempts = 5")

    hand.work("callbacks", callback_id).run(hand.conn)

    [row] = view(hand.conn, "callbacks")
    assert (row["state"], row["reason"].split(":")[0]) == ("parked", "crashed")


def test_who_overslept_its_claim_changes_nothing(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    callback_id = hand.receive(callback(execution))
    sleeper = hand.work("callbacks", callback_id)

    def step(conn: Connection, attempt: int) -> None:
        conn.execute("UPDATE pipeline.callbacks SET claimed_until = now() - interval '1 second'")
        hand.work("callbacks", callback_id).run(conn)
        sleeper.step(conn, attempt)

    type(sleeper)(sleeper.table, callback_id, sleeper.schedule, step).run(hand.conn)

    assert len(view(hand.conn, "verdicts")) == 1
    assert [row["attempts"] for row in view(hand.conn, "callbacks")] == [2]


def callback(execution: Execution, status: str = "", sent_at: datetime = NOW) -> bytes:
    return execution.callback(status or execution.status, sent_at)


def view(conn: Connection, name: str, order: str = "1") -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(f"SELECT * FROM compliance.{name} ORDER BY {order}".encode()).fetchall()


def test_reports_are_kept_as_jumio_sent_them_and_only_sealed(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["passed"])
    hand.receive(callback(execution))
    hand.run_until_idle()

    [(report_id, sealed)] = hand.conn.execute("SELECT id, sealed FROM pipeline.reports").fetchall()
    clear = hand.tools.settings.keys.unseal_text(sealed, place=f"reports.sealed/{report_id}")

    [(first_name,)] = hand.conn.execute("SELECT first_name FROM pipeline.identities").fetchall()
    assert json.loads(clear)["details"]["capabilities"]["extraction"][0]["data"]["firstName"] == first_name
    assert first_name.encode() not in sealed
    [masked] = view(hand.conn, "identities")
    assert masked["first_name"] == "***"
