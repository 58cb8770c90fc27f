"""Every sample, and any mutation of it."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.report import Check, Decision, Identity, Part, Report
from tests.workers.jumio.samples import ACCOUNT, FIXTURES, ID, WORKFLOW, load, minimal, read
from workers.errors import JumioAnswerError, JumioNotReadyError, LineError
from workers.jumio.kyx import expired_report, read_report


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("details_*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("steps", ["steps.json", "steps_empty.json", None])
def test_every_sample_is_read(path: Path, steps: str | None) -> None:
    groups = None if steps is None else (FIXTURES / steps).read_bytes()

    report = read_report(path.read_bytes(), groups, account_id=ACCOUNT, workflow_key=WORKFLOW)

    assert report.final
    assert report.expired == ("expired" in path.name)
    assert len(report.steps) == (4 if steps == "steps.json" else 0)
    assert not set(report.oddities) - {"unknown_capability:eKycVerification"}


def test_the_full_sample_means_what_it_says() -> None:
    report = read(load("details_all_capabilities.json"), load("steps.json"))

    assert report.decision == Decision("passed", "PASSED", Decimal("0.00"))
    assert (report.status, report.definition_key) == ("PROCESSED", "10164")
    assert (report.user_reference, report.customer_reference) == ("user-000417", "order-7781")
    assert report.started_at == datetime(2026, 2, 3, 10, 12, 11, 500_000, UTC)
    assert report.completed_at == datetime(2026, 2, 3, 10, 15, 41, tzinfo=UTC)
    assert len(report.checks) == 16
    assert Check("braCpfValidation", (ID,), "warning", "UNSUPPORTED_COUNTRY") in report.checks
    assert [(step.name, step.risk_score) for step in report.steps][::3] == [
        ("ID_IV", Decimal("0.00")),
        ("DL_VERIFICATION", Decimal("12.25")),
    ]
    assert report.identities == (
        Identity(
            "DRIVING_LICENSE", "REGULAR_DRIVING_LICENSE", "GBR", "MARIBEL ROSE", "O'CONNELL-TRAN", "1988-07-19",
            "OCONN807198MR9AB", "2021-05-01", "2031-04-30", "England",
        ),
    )  # fmt: skip
    assert len(report.parts) == 10
    assert Part(ID, "ID", "FRONT", offered=True) in report.parts
    assert "PREPARED_DATA" not in {part.classifier for part in report.parts}
    assert [part.classifier for part in report.parts if not part.offered] == ["FACEMAP"]


def test_a_rejected_one_and_a_warning_keep_their_words() -> None:
    rejected, warning = read(load("details_rejected.json")), read(load("details_warning.json"))

    assert rejected.decision == Decision("rejected", "REJECTED", Decimal("100.00"))
    assert rejected.identities == ()
    assert Check("watchlistScreening", (), "not_executed", "PRECONDITION_NOT_FULFILLED") in rejected.checks
    assert warning.decision == Decision("warning", "WARNING", Decimal("50.00"))


def test_an_expired_one_with_details_is_read_like_any_other() -> None:
    report = read(load("details_token_expired_newer.json"))

    assert report.expired
    assert report.decision == Decision("not_executed", "TOKEN_EXPIRED", Decimal("-1.00"))
    assert report.started_at is None


def test_a_workflow_of_before_the_platform_has_no_decision() -> None:
    assert read(load("details_minimal.json")).decision is None


@pytest.mark.parametrize("status", ["session", "token"])
def test_an_expired_one_without_details_is_read_from_its_status(status: str) -> None:
    document = load(f"status_{status}_expired.json")

    report = expired_report(document, account_id=ACCOUNT, workflow_key=WORKFLOW)

    assert (report.final, report.expired, report.status) == (True, True, f"{status.upper()}_EXPIRED")
    assert report.definition_key == "10164"
    assert json.loads(report.raw) == {"details": None, "status": document, "steps": None}


@pytest.mark.parametrize("status", ["processed", "acquired", "initiated"])
def test_missing_details_of_one_that_did_not_expire_are_still_to_come(status: str) -> None:
    with pytest.raises(JumioNotReadyError):
        expired_report(load(f"status_{status}.json"), account_id=ACCOUNT, workflow_key=WORKFLOW)


@pytest.mark.parametrize("document", [{}, {"workflowExecution": []}, {"workflowExecution": {"id": WORKFLOW}}])
def test_a_status_without_one_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(JumioAnswerError):
        expired_report(document, account_id=ACCOUNT, workflow_key=WORKFLOW)


@pytest.mark.parametrize("status", ["ACQUIRED", "INITIATED", "ACQUISITION_STARTED", "SOMETHING_NEW"])
def test_only_known_final_words_are_final(status: str) -> None:
    report = read(minimal(workflow={"id": WORKFLOW, "status": status}))

    assert (report.status, report.final, report.expired) == (status, False, False)


def test_equal_content_is_equal_bytes() -> None:
    details = load("details_all_capabilities.json")
    shuffled = json.dumps(dict(reversed(details.items())), indent=4, ensure_ascii=False).encode()
    one = read_report(shuffled, None, account_id=ACCOUNT, workflow_key=WORKFLOW)

    assert one.raw == read(details).raw


odd_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.just([]), st.just({}),
    st.sampled_from(["PASSED", "N/A", "\0", "\ud800", "x" * 2000, "2026-99-99"]),
    st.sampled_from([["PASSED"], {"type": "PASSED"}, [[]], [None]]),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, name: str) -> Any:
    """A sample with some members deleted or replaced by something of another type."""
    document = copy.deepcopy(load(name))
    for _ in range(draw(st.integers(1, 6))):
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                del place[key]
            else:
                place[key] = copy.deepcopy(draw(odd_values))  # a later mutation may reach into it
            break
    return document


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(path.name for path in FIXTURES.glob("details_*.json"))).flatmap(mutated),
    mutated("steps.json"),
)
def test_no_mutation_breaks_the_reading_or_makes_a_pass(details: Any, steps: Any) -> None:
    try:
        report = read(details, steps)
    except LineError:
        return

    if report.decision is not None and report.decision.outcome == "passed":
        assert details["decision"]["type"] == "PASSED"
    for text in texts(report):
        assert "\0" not in text
        text.encode()
        assert len(text) <= 1000
    assert read(details, steps) == report


def texts(report: Report) -> list[str]:
    rows = [report, report.decision, *report.checks, *report.steps, *report.identities, *report.parts]
    return [value for row in rows if row is not None for value in vars(row).values() if isinstance(value, str)]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["status_session_expired.json", "status_processed.json"]).flatmap(mutated))
def test_no_mutation_of_a_status_breaks_the_reading(document: Any) -> None:
    try:
        report = expired_report(document, account_id=ACCOUNT, workflow_key=WORKFLOW)
    except LineError:
        return

    assert report.expired
    assert report.decision is None
