"""Saved questions, asked with plain psql as an analyst, of a line whose answers the simulator knows."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.measure_compliance import ask, questions
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from tests.line.conftest import Hand
from tests.line.test_steps import NOW, callback

Ask = Callable[..., list[dict[str, str]]]


@pytest.fixture
def asked(database_url: str) -> Ask:
    def run(name: str, *options: str) -> list[dict[str, str]]:
        [path] = [path for path in questions() if path.stem == name]
        done = ask(database_url, path, "--csv", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return list(csv.DictReader(io.StringIO(done.stdout)))

    return run


@pytest.mark.parametrize("path", questions(), ids=lambda path: path.stem)
def test_a_file_begins_with_its_question_and_explains_its_parameters(path: Path) -> None:
    text = path.read_text()
    comment = re.match(r"(-- .+\n)+", text)

    assert comment
    assert re.search(r"\?$", comment[0], re.MULTILINE)
    for parameter in re.findall(r"^\\if :\{\?(\w+)\}", text, re.MULTILINE):
        assert re.search(rf"^-- .*\b{parameter}\b.*:", comment[0], re.MULTILINE), parameter
    assert sorted(set(re.findall(r":'(\w+)'", text))) == sorted(re.findall(r"^\\if :\{\?(\w+)\}", text, re.MULTILINE))


def test_a_day_of_decisions_is_answered_as_the_simulator_knows_it(hand: Hand, simulator: Simulator, asked: Ask) -> None:
    approved = work(hand, simulator, "passed", "passed")
    [copied] = work(hand, simulator, "rejected.digital_copy")
    [alerted] = work(hand, simulator, "warning.alert")
    work(hand, simulator, "token_expired.older")

    assert sum(int(row["approved"]) for row in asked("approvals_by_day_and_country")) == len(approved)
    [reason] = asked("rejections_by_reason")
    assert (reason["check"], reason["reason"], reason["rejected"]) == ("imageChecks", "DIGITAL_COPY", "1")
    [candidate] = asked("manual_review_candidates")
    assert (candidate["workflow_key"], candidate["because"]) == (alerted.key, "watchlistScreening ALERT")
    [expired] = asked("expired_journeys")
    assert (expired["ended_as"], expired["expired"], expired["approved_since"]) == ("TOKEN_EXPIRED", "1", "0")
    assert sum(int(row["decided"]) for row in asked("time_to_decision")) == len([*approved, copied, alerted]) + 1
    cip = asked("us_cip_record")
    assert {row["workflow_key"] for row in cip} == {execution.key for execution in approved}
    assert all("usability passed" in row["methods_and_results"] for row in cip)
    noted = "noted, no bar to the approval: braCpfValidation UNSUPPORTED_COUNTRY"
    assert {row["discrepancies"] for row in cip} == {noted}
    assert all(row["document_type"] and row["place_of_issue"] and row["last_name"] == "***" for row in cip)


def test_the_place_of_issue_is_the_state_where_states_issue(hand: Hand, simulator: Simulator, asked: Ask) -> None:
    [execution] = work(hand, simulator, "passed")
    places = {}
    for country, state in (("USA", "CA"), ("USA", "12 PLANTED ROAD"), ("GBR", "ENG"), ("FRA", None)):
        hand.conn.execute("UPDATE pipeline.identities SET issuing_country = %s, issuing_state = %s", [country, state])
        [row] = asked("us_cip_record")
        assert row["workflow_key"] == execution.key
        places[country, state] = row["place_of_issue"]

    assert list(places.values()) == ["CA, USA", "***, USA", "***, GBR", "FRA"]


def test_another_day_is_chosen_by_variables(hand: Hand, simulator: Simulator, asked: Ask) -> None:
    work(hand, simulator, "passed")
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)

    assert asked("approvals_by_day_and_country", f"--set=until={tomorrow}", "--set=days=1")
    assert not asked("approvals_by_day_and_country", f"--set=until={tomorrow - timedelta(days=1)}", "--set=days=30")


def test_what_changed_afterwards_is_told_and_how_it_was_resolved(hand: Hand, simulator: Simulator, asked: Ask) -> None:
    [execution] = work(hand, simulator, "passed")
    execution.correct()
    hand.receive(callback(execution, sent_at=NOW + timedelta(days=1)))
    hand.run_until_idle()

    [changed] = asked("verdicts_changed_later")

    assert (changed["workflow_key"], changed["was"]) == (execution.key, "passed")
    assert changed["is_now"] == execution.expectation.outcome


def test_an_approval_stays_on_its_day_and_a_withdrawn_one_is_told(hand: Hand, simulator: Simulator, asked: Ask) -> None:
    [execution] = work(hand, simulator, "passed")
    hand.conn.execute("ALTER TABLE pipeline.verdicts DISABLE TRIGGER USER")
    hand.conn.execute("UPDATE pipeline.verdicts SET recorded_at = '2026-03-01 12:00Z'")
    hand.conn.execute("ALTER TABLE pipeline.verdicts ENABLE TRIGGER USER")
    march = ("--set=until=2026-03-08", "--set=days=7")
    [before] = asked("approvals_by_day_and_country", *march)
    execution.correct()
    hand.receive(callback(execution, sent_at=NOW + timedelta(days=1)))
    hand.run_until_idle()

    [row] = asked("approvals_by_day_and_country", *march)

    assert asked("approvals_by_day_and_country") == []
    assert (before["day"], before["approved"], before["withdrawn_since"]) == ("2026-03-01", "1", "0")
    assert (row["day"], row["approved"], row["withdrawn_since"]) == ("2026-03-01", "1", "1")


def test_the_same_reason_twice_is_one_rejection_and_a_namesake_of_another_tenant_no_approval(
    hand: Hand, simulator: Simulator, asked: Ask
) -> None:
    [rejected] = work(hand, simulator, "rejected.digital_copy")
    hand.conn.execute("UPDATE pipeline.workflows SET reject_reasons = reject_reasons || reject_reasons")
    work(hand, simulator, "token_expired.older")
    hand.conn.execute(
        "INSERT INTO pipeline.workflows (tenant, family, workflow_key, status, user_reference, outcome,"
        " verdict_version, decided_at)"
        " SELECT 'other', 'kyx', 'KEY', 'PROCESSED', user_reference, 'passed', 1, now() + interval '1 s'"
        " FROM pipeline.workflows WHERE outcome = 'expired'"
    )

    [reason] = asked("rejections_by_reason")
    [expired] = asked("expired_journeys")

    assert (reason["rejected"], reason["percent"]) == ("1", "100.0")
    assert (expired["expired"], expired["approved_since"]) == ("1", "0")
    assert rejected.expectation.outcome == "rejected"


def test_a_discrepancy_that_was_resolved_is_told_beside_what_was_noted(
    hand: Hand, simulator: Simulator, asked: Ask
) -> None:
    [execution] = work(hand, simulator, "rejected.digital_copy")
    execution.correct()
    hand.receive(callback(execution, sent_at=NOW + timedelta(days=1)))
    hand.run_until_idle()

    [record] = asked("us_cip_record")

    assert record["discrepancies"].startswith(
        "version 1 was rejected (REJECTED); resolved by version 2: passed; noted, no bar to the approval: "
    )
    shown = ("document_number", "issuing_date", "expiry_date", "date_of_birth")
    assert [record[each][-3:] for each in shown] == ["***", "-**", "-**", "-**"]


def test_an_alert_on_an_approval_and_an_approval_without_similarity_are_found(
    hand: Hand, simulator: Simulator, asked: Ask
) -> None:
    alerted, unseen, _ = work(hand, simulator, *["passed"] * 3)
    assert (asked("watchlist_alerts_without_change"), asked("approved_without_similarity")) == ([], [])
    of = "report_id = (SELECT report_id FROM pipeline.workflows WHERE workflow_key = %s)"
    hand.conn.execute(
        "UPDATE pipeline.checks SET outcome = 'warning', label = 'ALERT'"
        f" WHERE capability = 'watchlistScreening' AND {of}",
        [alerted.key],
    )
    hand.conn.execute(
        "UPDATE pipeline.checks SET outcome = 'not_executed', label = 'NO_FACE'"
        f" WHERE capability = 'similarity' AND {of}",
        [unseen.key],
    )

    [alert] = asked("watchlist_alerts_without_change")
    assert (alert["workflow_key"], alert["screening"], alert["outcome"]) == (alerted.key, "warning", "passed")
    found = {row["workflow_key"]: row["similarity"] for row in asked("approved_without_similarity")}
    assert found == {unseen.key: "NO_FACE"}


def test_what_is_not_here_and_who_was_turned_away_are_found(hand: Hand, simulator: Simulator, asked: Ask) -> None:
    [execution] = work(hand, simulator, "passed")
    assert (asked("images_missing"), asked("callbacks_refused_or_parked")) == ([], [])
    hand.conn.execute(
        "UPDATE pipeline.images SET state = 'missing', stored_at = NULL, sha256 = NULL, store = NULL, "
        "blob_key = NULL, key_id = NULL, last_error = 'gone: 404'"
        " WHERE classifier = 'FRONT'"
    )
    hand.receive(b"neither JSON nor a form")
    hand.run_until_idle()

    [image] = asked("images_missing")
    assert (image["workflow_key"], image["classifier"], image["reason"]) == (execution.key, "FRONT", "gone: 404")
    [parked] = asked("callbacks_refused_or_parked")
    assert (parked["state"], parked["callbacks"], parked["source_rule"]) == ("parked", "1", "dns")


def test_everything_about_one_reference_is_about_it_alone(hand: Hand, simulator: Simulator, database_url: str) -> None:
    asked_about, other = work(hand, simulator, "passed", "rejected.no_match")
    [path] = [path for path in questions() if path.stem == "everything_about_a_reference"]

    done = ask(database_url, path, f"--set=customer_reference={asked_about.customer_reference}")

    assert (done.returncode, done.stderr) == (0, "")
    assert asked_about.key in done.stdout
    assert other.key not in done.stdout
    assert "Decided: passed (PASSED)" in done.stdout
    assert done.stdout.count(" row") == 5
    assert ask(database_url, path).stdout.count(" row") == 5


def work(hand: Hand, simulator: Simulator, *outcomes: str) -> list[Execution]:
    executions = simulator.create(len(outcomes), outcomes=list(outcomes))
    for execution in executions:
        hand.receive(callback(execution))
    hand.run_until_idle()
    return executions
