"""The comparison has to see what is wrong: each promise is broken once, in what is found, and named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deploy.demo.subscriber import Received
from deploy.simulator.caller import Post, Sent
from deploy.simulator.scenarios import invent_executions
from tests.crash_proof.compare import Found, problems
from tests.crash_proof.ledger import QUIET, Ledger

NOW = datetime(2026, 1, 1, tzinfo=UTC)
[EXECUTION] = invent_executions("compare", 1, outcomes=["session_expired.gone"])
BODY = EXECUTION.callback(EXECUTION.status, NOW)
TRUTH = {EXECUTION.key: EXECUTION}


def ledger_of(*answers: int | None) -> Ledger:
    """Of one body, sent as often as there are answers."""
    ledger = Ledger()
    for answer in answers:
        post = Post(EXECUTION.key, EXECUTION.status, BODY, "application/json", "127.0.0.11", NOW)
        ledger.note(Sent(post, 0.0, 0.1, answer), final=True, faults=QUIET)
    return ledger


def found_of(ledger: Ledger) -> Found:
    """What there is when all went well."""
    [sha256] = ledger.sent()
    key = EXECUTION.key
    workflow = {
        "workflow_key": key, "outcome": "expired", "verdict_version": 1, "images_wanted": 0, "images_stored": 0,
    }  # fmt: skip
    event = {"id": "e1", "subject": key, "sequence": 1}
    return Found(
        callbacks=[{"callback_id": "c1", "state": "done", "reason": None, "sha256": sha256}] * 2,
        workflows={key: workflow},
        verdicts=[{"workflow_key": key}],
        events=[{"event_id": "e1", "workflow_key": key, "sequence": 1, "type": "kyc.workflow.expired.v1"}],
        unfinished=[],
        spooled=[],
        received=[Received(event, verified=True, at=NOW)],
    )


def test_nothing_is_wrong_where_all_is_kept_decided_and_delivered() -> None:
    ledger = ledger_of(200, 200)

    assert problems(found_of(ledger), ledger, TRUTH) == []


def test_what_got_no_200_may_be_kept_or_not() -> None:
    ledger = ledger_of(200, 503, None)
    found = found_of(ledger)

    assert problems(found, ledger, TRUTH) == []
    assert problems(replace(found, callbacks=found.callbacks[:1]), ledger, TRUTH) == []


@pytest.mark.parametrize(
    ("promise", "spoil"),
    [
        ("acknowledged is kept", lambda found: replace(found, callbacks=found.callbacks[:1])),
        ("nothing is invented", lambda found: replace(found, callbacks=found.callbacks * 2)),
        ("nothing genuine is put aside", lambda found: replace(found, callbacks=with_one(found.callbacks, "refused"))),
        (
            "each acknowledged workflow has its verdict",
            lambda found: replace(found, verdicts=[], events=[], received=[]),
        ),
        ("exactly one verdict", lambda found: replace(found, verdicts=found.verdicts * 2)),
        ("the verdict is Jumio's", lambda found: replace(found, workflows=concluded(found, outcome="passed"))),
        ("every image is stored", lambda found: replace(found, workflows=concluded(found, images_wanted=1))),
        ("every event is delivered", lambda found: replace(found, received=[])),
        (
            "every delivery verifies",
            lambda found: replace(found, received=[replace(found.received[0], verified=False)]),
        ),
        ("one id, one event", lambda found: replace(found, received=[*found.received, altered(found, type="x")])),
        ("one event for each verdict", lambda found: replace(found, events=[], received=[])),
        (
            "events come in order",
            lambda found: replace(found, received=[altered(found, id="e2", sequence=2), *found.received]),
        ),
        ("nothing is stuck", lambda found: replace(found, spooled=["segment"])),
    ],
)
def test_a_broken_promise_is_named(promise: str, spoil: Callable[[Found], Found]) -> None:
    ledger = ledger_of(200, 200)

    wrong = problems(spoil(found_of(ledger)), ledger, TRUTH)

    assert promise in {problem.promise for problem in wrong}


def test_a_genuine_callback_that_is_refused_is_named() -> None:
    ledger = ledger_of(200, 200, 403)

    assert [problem.promise for problem in problems(found_of(ledger), ledger, TRUTH)] == [
        "a genuine callback gets 200, or 503"
    ]


def test_a_lost_connection_met_the_fault_at_its_end_and_an_answer_the_one_at_its_start() -> None:
    ledger = Ledger()
    post = Post(EXECUTION.key, EXECUTION.status, BODY, "application/json", "127.0.0.11", NOW)
    with ledger.during(("kill receiver",)):
        for answer in (503, None):
            ledger.note(Sent(post, 0.0, 0.1, answer), final=True, faults=("restart postgres",))

    assert [ledger.tally_of(name).sent for name in ("restart postgres", "kill receiver")] == [1, 1]


def with_one(rows: list[dict[str, object]], state: str) -> list[dict[str, object]]:
    return [{**rows[0], "state": state}, *rows[1:]]


def concluded(found: Found, **values: object) -> dict[str, dict[str, object]]:
    return {key: {**row, **values} for key, row in found.workflows.items()}


def altered(found: Found, **values: object) -> Received:
    return replace(found.received[0], event={**found.received[0].event, **values})
