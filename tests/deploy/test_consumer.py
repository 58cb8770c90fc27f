"""The example consumer, part by part: what it believes, what it applies, and in which order."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from deploy.consumer.inbox import Inbox
from deploy.consumer.verify import ForgedError, verify
from schemas.events.examples import example
from schemas.events.signing import new_secret, sign

NOW = 1_700_000_000
BODY = json.dumps(example("kyc.workflow.decided.v1")).encode()
OLD, NEW = new_secret(), new_secret()


def headers(*secrets: str, at: int = NOW) -> dict[str, str]:
    signatures = " ".join(sign(secret, "an-id", at, BODY) for secret in secrets)
    return {"webhook-id": "an-id", "webhook-timestamp": str(at), "webhook-signature": signatures}


@pytest.mark.parametrize(("signed_with", "known"), [([OLD], [OLD]), ([OLD], [NEW, OLD]), ([NEW, OLD], [OLD])])
def test_either_secret_holds_while_they_are_exchanged(signed_with: list[str], known: list[str]) -> None:
    assert verify(BODY, headers(*signed_with), known, now=NOW) == "an-id"


def test_signatures_of_other_versions_are_passed_over() -> None:
    given = headers(OLD)
    given["webhook-signature"] = f"v1a,AAAA v9 {given['webhook-signature']}"

    assert verify(BODY, given, [OLD], now=NOW) == "an-id"


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-id": "another"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "ü"},
        {"webhook-signature": ""},
    ],
)
def test_what_is_not_signed_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ForgedError):
        verify(BODY, {**headers(OLD), **wrong}, [OLD], now=NOW)


def test_other_bytes_another_secret_no_header_and_an_old_recording_are_refused() -> None:
    for body, given, secret, now in (
        (BODY + b" ", headers(OLD), OLD, NOW),
        (BODY, headers(OLD), NEW, NOW),
        (BODY, {}, OLD, NOW),
        (BODY, headers(OLD), OLD, NOW + 301),
        (BODY, headers(OLD), OLD, NOW - 301),
    ):
        with pytest.raises(ForgedError):
            verify(body, given, [secret], now=now)


def test_it_believes_what_the_official_library_signs() -> None:
    official = Webhook(OLD).sign("an-id", datetime.fromtimestamp(NOW, UTC), BODY.decode())

    assert verify(BODY, {**headers(NEW), "webhook-signature": official}, [OLD], now=NOW) == "an-id"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    inbox = Inbox(tmp_path / "consumer.db")
    yield inbox
    inbox.close()


def event(sequence: int, *, tenant: str = "default") -> dict[str, Any]:
    made = example("kyc.workflow.changed.v1")
    made["data"]["tenant"] = tenant
    return {**made, "id": f"{tenant}-{sequence}", "sequence": sequence}


def taken(inbox: Inbox) -> list[tuple[int, str]]:
    return [(sequence, via) for _, sequence, _, via in inbox.applied()]


def test_an_event_is_applied_once(inbox: Inbox) -> None:
    assert inbox.take_delivery(event(1))
    assert inbox.take_delivery(event(1))
    inbox.take_page([event(1)], "cursor")

    assert taken(inbox) == [(1, "webhook")]
    assert inbox.repeats == 1


def test_what_comes_too_early_waits_for_the_feed(inbox: Inbox) -> None:
    inbox.take_delivery(event(1))
    assert not inbox.take_delivery(event(4))
    assert not inbox.take_delivery(event(3))
    assert not inbox.take_delivery(event(3))
    assert inbox.gaps() == 2

    inbox.take_page([event(1), event(2)], "cursor")

    assert taken(inbox) == [(1, "webhook"), (2, "feed"), (3, "webhook"), (4, "webhook")]
    assert (inbox.gaps(), inbox.cursor()) == (0, "cursor")


def test_a_gap_in_the_feed_is_one_that_stays(inbox: Inbox) -> None:
    """Sequence 2 was erased: where the feed has given 3, 2 is not to come."""
    inbox.take_delivery(event(1))
    inbox.take_delivery(event(3))

    inbox.take_page([event(1), event(3)], "cursor")

    assert [sequence for sequence, _ in taken(inbox)] == [1, 3]
    assert inbox.gaps() == 0


def test_an_erasure_is_carried_out_here_too(inbox: Inbox) -> None:
    inbox.take_delivery(event(1))
    inbox.take_delivery(event(3))

    inbox.take_page([{**event(4), "type": "kyc.subject.erased.v1"}], "cursor")

    assert [(sequence, outcome) for _, sequence, outcome, _ in inbox.applied()] == [(1, None), (4, None)]
    assert inbox.gaps() == 0
    assert inbox.take_delivery(event(1))


def test_what_comes_late_or_after_the_end_concludes_nothing(inbox: Inbox) -> None:
    inbox.take_page([event(2)], "cursor")
    assert inbox.take_delivery(event(1))
    outcomes = {sequence: outcome for _, sequence, outcome, _ in inbox.applied()}
    assert outcomes == {2: event(2)["data"]["outcome"], 1: None}

    inbox.take_page([{**event(3), "type": "kyc.subject.erased.v1"}], "cursor")
    assert inbox.take_delivery(event(4))
    assert inbox.take_delivery(event(6))
    assert {outcome for _, _, outcome, _ in inbox.applied()} == {None}
    assert inbox.gaps() == 0


def test_the_same_workflow_of_another_tenant_is_another(inbox: Inbox) -> None:
    inbox.take_delivery(event(1))

    assert inbox.take_delivery(event(1, tenant="acme"))
    assert not inbox.take_delivery(event(3, tenant="acme"))


def test_what_is_taken_survives(inbox: Inbox, tmp_path: Path) -> None:
    inbox.take_delivery(event(1))
    inbox.take_page([], "cursor")
    inbox.take_delivery(event(3))

    again = Inbox(tmp_path / "consumer.db")
    assert (taken(again), again.cursor(), again.gaps()) == ([(1, "webhook")], "cursor", 1)
    again.close()


def test_a_page_that_cannot_be_applied_moves_no_cursor(inbox: Inbox) -> None:
    with pytest.raises(KeyError):
        inbox.take_page([event(1), {"id": "broken"}], "cursor")

    assert (taken(inbox), inbox.cursor()) == ([], "")
