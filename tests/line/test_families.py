"""Every family takes the whole line by hand; and what the readers alone cannot show."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from psycopg import Connection
from pydantic import SecretStr

from deploy.requeue import requeue_parked
from deploy.simulator.mix import Family
from deploy.simulator.run import Simulator
from schemas.settings import Settings
from tests.line.conftest import Hand
from tests.line.test_steps import view
from workers import tools as worker_tools

NOW = datetime.now(UTC)
FAMILIES = ("netverify", "authentication", "document")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_result_of_a_family_becomes_its_verdict_with_its_images(
    hand: Hand, simulator: Simulator, family: Family
) -> None:
    transactions = simulator.create_legacy(family, 16)
    for transaction in transactions:
        hand.receive(transaction.callback(transaction.status, NOW))

    hand.run_until_idle()

    rows = {row["workflow_key"]: row for row in view(hand.conn, "workflows")}
    assert {row["state"] for row in view(hand.conn, "callbacks")} == {"done"}
    for transaction in transactions:
        row, expected = rows[transaction.key], transaction.expectation
        assert (row["family"], row["outcome"], row["label"]) == (family, expected.outcome, expected.label)
        assert (row["images_wanted"], row["images_stored"]) == (expected.images, expected.images)
    assert {row["rests_on"] for row in view(hand.conn, "verdicts")} == {"retrieval"}


def test_a_face_search_that_still_runs_is_read_again(hand: Hand, simulator: Simulator) -> None:
    [execution] = simulator.create(outcomes=["warning.repeated_face"])
    simulator.faults.give(execution.key, "findings_pending")
    hand.receive(execution.callback(execution.status, NOW))

    hand.run_until_idle()

    assert [row["outcome"] for row in view(hand.conn, "verdicts", "version")] == ["passed", "warning"]
    assert "kyc.workflow.changed.v1" in {row["type"] for row in view(hand.conn, "events")}
    assert {row["state"] for row in view(hand.conn, "callbacks")} == {"done"}


@pytest.fixture
def bare_hand(conn: Connection, simulator: Simulator, settings: Settings) -> Iterator[Hand]:
    """Without legacy credentials."""
    bare = settings.model_copy(update={"jumio_legacy_token": "", "jumio_legacy_secret": SecretStr("")})
    yield Hand(conn, worker_tools.open_tools(bare))
    worker_tools.close_tools()


def test_without_credentials_the_callback_decides_and_the_verdict_says_so(
    bare_hand: Hand, simulator: Simulator
) -> None:
    [transaction] = simulator.create_legacy("netverify", 1, outcomes=["netverify.approved"])
    bare_hand.receive(transaction.callback(transaction.status, NOW))

    bare_hand.run_until_idle()

    [verdict] = view(bare_hand.conn, "verdicts")
    assert (verdict["outcome"], verdict["rests_on"]) == ("passed", "callback")
    assert sum(simulator.stats.counts.values()) == 0


def test_without_credentials_an_older_word_never_takes_a_newer_one_back(bare_hand: Hand) -> None:
    for status, sent_at in (("DENIED_FRAUD", NOW), ("APPROVED_VERIFIED", NOW - timedelta(days=30))):
        bare_hand.receive(netverify(status, sent_at))
        bare_hand.run_until_idle()

    [workflow] = view(bare_hand.conn, "workflows")
    assert (workflow["outcome"], workflow["label"], workflow["verdict_version"]) == ("rejected", "DENIED_FRAUD", 1)
    assert {row["state"] for row in view(bare_hand.conn, "callbacks")} == {"done"}


def netverify(status: str, sent_at: datetime) -> bytes:
    moment = sent_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    fields = {
        "callBackType": "NETVERIFYID",
        "jumioIdScanReference": "085f4bc0-2132-4f32-9747-d1dfafee2375",
        "verificationStatus": status,
        "idScanStatus": "SUCCESS" if status == "APPROVED_VERIFIED" else "ERROR",
        "transactionDate": moment,
        "callbackDate": moment,
    }
    return urlencode(fields).encode()


@pytest.mark.parametrize("final", ["DENIED_FRAUD", "APPROVED_VERIFIED", "NO_ID_UPLOADED"])
def test_a_word_on_the_way_shows_how_far_it_is_and_takes_nothing_back(bare_hand: Hand, final: str) -> None:
    shown = []
    for minute, status in enumerate(("CREATED", "INITIATED", "started", "PENDING", "ACQUIRED", final, "pending")):
        bare_hand.receive(netverify(status, NOW + timedelta(minutes=minute)))
        bare_hand.run_until_idle()
        [workflow] = view(bare_hand.conn, "workflows")
        shown.append(workflow["status"])

    assert shown == ["CREATED", "CREATED", "STARTED", "PENDING", "PENDING", final, final]
    assert (workflow["label"], workflow["verdict_version"]) == (final, 1)
    assert {row["state"] for row in view(bare_hand.conn, "callbacks")} == {"done"}


def test_what_an_older_release_could_not_read_is_read_when_it_is_requeued(bare_hand: Hand) -> None:
    callback_id = bare_hand.receive(netverify("DENIED_FRAUD", NOW))
    bare_hand.conn.execute(
        "UPDATE pipeline.callbacks SET state = 'parked', finished_at = now(), last_error = 'family: x' WHERE id = %s",
        [callback_id],
    )

    requeue_parked(bare_hand.conn, "family")
    bare_hand.run_until_idle()

    assert [row["state"] for row in view(bare_hand.conn, "callbacks")] == ["done"]
    assert [row["label"] for row in view(bare_hand.conn, "verdicts")] == ["DENIED_FRAUD"]
