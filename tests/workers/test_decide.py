"""One verdict from one report: expired beats everything, and no one passes without Jumio's own word."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.report import Check, Decision, Identity, Report, Step
from schemas.verdict import Reason, Verdict
from workers.decide import CONTRADICTION, UndecidedError, decide, reconcile

OUTCOMES = ("passed", "rejected", "warning", "not_executed")
REPORT = Report("kyx", "w-1", "a-1", "PROCESSED", final=True, expired=False, raw=b"{}")
EXPIRED = replace(REPORT, status="SESSION_EXPIRED", expired=True)


def check(outcome: Any, label: str = "OK", capability: str = "usability") -> Check:
    return Check(capability, ("c-1",), outcome, label)


def decided(outcome: Any, label: str, score: str | None = None) -> Decision:
    return Decision(outcome, label, Decimal(score) if score else None)


PASSED, REJECTED = decided("passed", "PASSED", "5.00"), decided("rejected", "REJECTED", "100.00")
NOT_RUN = decided("not_executed", "NOT_EXECUTED", "-1.00")


@pytest.mark.parametrize(
    ("report", "outcome", "label", "score"),
    [
        # Expired beats the decision, whatever Jumio says of the same thing.
        (replace(EXPIRED, decision=PASSED), "expired", "SESSION_EXPIRED", "5.00"),
        (replace(EXPIRED, decision=REJECTED), "expired", "SESSION_EXPIRED", "100.00"),
        (replace(EXPIRED, decision=NOT_RUN, status="TOKEN_EXPIRED"), "expired", "TOKEN_EXPIRED", "-1.00"),
        (EXPIRED, "expired", "SESSION_EXPIRED", None),
        (replace(EXPIRED, checks=(check("rejected"),)), "expired", "SESSION_EXPIRED", None),
        # Jumio's own decision, whatever the checks look like.
        (replace(REPORT, decision=PASSED), "passed", "PASSED", "5.00"),
        (replace(REPORT, decision=REJECTED), "rejected", "REJECTED", "100.00"),
        (replace(REPORT, decision=decided("warning", "WARNING", "50.00")), "warning", "WARNING", "50.00"),
        (replace(REPORT, decision=NOT_RUN), "not_executed", "NOT_EXECUTED", "-1.00"),
        (replace(REPORT, decision=decided("warning", "NEW_WORD")), "warning", "NEW_WORD", None),
        (replace(REPORT, decision=PASSED, checks=(check("rejected"),)), "passed", "PASSED", "5.00"),
        (replace(REPORT, decision=REJECTED, checks=(check("passed"),)), "rejected", "REJECTED", "100.00"),
        # No decision: a person has to look, unless a check was rejected or none was executed.
        (REPORT, "not_executed", "NO_DECISION", None),
        (replace(REPORT, checks=(check("not_executed"),)), "not_executed", "NO_DECISION", None),
        (replace(REPORT, checks=(check("passed"),)), "warning", "NO_DECISION", None),
        (replace(REPORT, checks=(check("passed"), check("not_executed"))), "warning", "NO_DECISION", None),
        (replace(REPORT, checks=(check("passed"), check("warning"))), "warning", "NO_DECISION", None),
        (replace(REPORT, checks=(check("warning"),)), "warning", "NO_DECISION", None),
        (replace(REPORT, checks=(check("passed"), check("rejected"))), "rejected", "NO_DECISION", None),
    ],
)
def test_a_report_has_one_conclusion(report: Report, outcome: str, label: str, score: str | None) -> None:
    verdict = decide(report)

    assert (verdict.outcome, verdict.label) == (outcome, label)
    assert verdict.risk_score == (Decimal(score) if score else None)
    assert (verdict.checks, verdict.steps) == (report.checks, report.steps)


@pytest.mark.parametrize("report", [replace(REPORT, final=False), replace(EXPIRED, final=False, decision=PASSED)])
def test_what_is_not_final_is_not_decided(report: Report) -> None:
    with pytest.raises(UndecidedError):
        decide(report)


def test_the_reasons_are_what_was_rejected_or_warned_of() -> None:
    checks = (
        check("passed", "OK", "liveness"),
        check("rejected", "NO_MATCH", "similarity"),
        check("warning", "ALERT", "watchlistScreening"),
        check("not_executed", "PRECONDITION_NOT_FULFILLED", "imageChecks"),
    )

    verdict = decide(replace(REPORT, decision=REJECTED, checks=checks))

    assert verdict.reasons == (Reason("similarity", "NO_MATCH"), Reason("watchlistScreening", "ALERT"))


SCORES = st.none() | st.decimals(-1, 100, places=2)
LABELS = st.sampled_from(["PASSED", "OK", "REJECTED", "WARNING", "passed", ""])
CHECKS = st.builds(
    Check, st.sampled_from(["usability", "liveness"]), st.just(("c-1",)), st.sampled_from(OUTCOMES), LABELS
)
STEPS = st.builds(Step, st.just("s-1"), st.just("ID"), st.sampled_from(OUTCOMES), LABELS, SCORES)
REPORTS = st.builds(
    Report,
    family=st.sampled_from(["kyx", "netverify", "authentication", "document"]),
    workflow_key=st.just("w-1"),
    account_id=st.just("a-1"),
    status=st.sampled_from(["PROCESSED", "PASSED", "SESSION_EXPIRED"]),
    final=st.booleans(),
    expired=st.booleans(),
    raw=st.just(b'{"decision": "PASSED"}'),
    decision=st.none() | st.builds(Decision, st.sampled_from(OUTCOMES), LABELS, SCORES),
    checks=st.lists(CHECKS, max_size=4).map(tuple),
    steps=st.lists(STEPS, max_size=3).map(tuple),
)


@given(report=REPORTS)
def test_no_one_passes_without_jumios_own_word(report: Report) -> None:
    said = report.final and not report.expired and report.decision is not None and report.decision.outcome == "passed"

    try:
        outcome = decide(report).outcome
    except UndecidedError:
        assert not report.final
    else:
        assert (outcome == "passed") is said
        assert (outcome == "expired") is report.expired


VERDICT = Verdict(
    "rejected", "REJECTED", Decimal("100.00"), (Reason("similarity", "NO_MATCH"), Reason("liveness", "NO")),
    (check("rejected", "NO_MATCH", "similarity"), check("rejected", "NO", "liveness"), check("passed")),
    (Step("s-1", "ID", "passed", "PASSED", Decimal("1.00")), Step("s-2", "FACE", "rejected", "REJECTED")),
)  # fmt: skip


@given(report=REPORTS.filter(lambda report: report.final), seed=st.integers())
def test_the_order_of_checks_and_steps_makes_no_other_verdict(report: Report, seed: int) -> None:
    checks, steps = list(report.checks), list(report.steps)
    random.Random(seed).shuffle(checks)
    random.Random(seed).shuffle(steps)

    again = decide(replace(report, checks=tuple(checks), steps=tuple(steps)))

    assert again.digest() == decide(report).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "warning"},
        {"label": "OTHER"},
        {"risk_score": Decimal("99.00")},
        {"risk_score": None},
        {"reasons": VERDICT.reasons[:1]},
        {"checks": VERDICT.checks[:2]},
        {"checks": (*VERDICT.checks, VERDICT.checks[0])},
        {"checks": (*VERDICT.checks[:2], check("warning"))},
        {"checks": (*VERDICT.checks[:2], check("passed", "OTHER"))},
        {"checks": (*VERDICT.checks[:2], check("passed", capability="extraction"))},
        {"steps": VERDICT.steps[:1]},
        {"steps": (VERDICT.steps[0], replace(VERDICT.steps[1], risk_score=Decimal("2.00")))},
        {"checks": (), "steps": (), "reasons": ()},
    ],
    ids=str,
)
def test_whatever_else_changes_makes_another_verdict(change: dict[str, Any]) -> None:
    assert replace(VERDICT, **change).digest() != VERDICT.digest()


def test_an_equal_verdict_has_an_equal_digest_of_a_hash() -> None:
    assert replace(VERDICT).digest() == VERDICT.digest()
    assert len(VERDICT.digest()) == 32


EARLIER, LATER = datetime(2026, 1, 12, tzinfo=UTC), datetime(2026, 1, 13, tzinfo=UTC)
TOLD = replace(REPORT, family="netverify", status="APPROVED_VERIFIED", decision=PASSED, said_at=EARLIER)
DENIED = replace(TOLD, status="DENIED_FRAUD", decision=decided("rejected", "DENIED_FRAUD"), said_at=None)


def test_one_outcome_of_both_rests_on_the_retrieval() -> None:
    confirmed = replace(TOLD, decision=decided("passed", "OK", "1.00"), said_at=None)

    verdict = reconcile(TOLD, confirmed)

    assert verdict == decide(confirmed)
    assert verdict.rests_on == "retrieval"


@pytest.mark.parametrize("said_at", [None, EARLIER, EARLIER - timedelta(days=1)])
@pytest.mark.parametrize(("told", "confirmed"), [(TOLD, DENIED), (DENIED, TOLD)])
def test_two_outcomes_are_a_contradiction(told: Report, confirmed: Report, said_at: datetime | None) -> None:
    verdict = reconcile(replace(told, said_at=EARLIER), replace(confirmed, said_at=said_at))

    assert (verdict.outcome, verdict.label, verdict.rests_on) == ("warning", CONTRADICTION, "retrieval")
    assert [(reason.check, reason.label) for reason in verdict.reasons] == [
        ("callback", decide(told).label),
        ("retrieval", decide(confirmed).label),
        ("difference", "OUTCOME"),
        ("difference", "STATUS"),
    ]


PERSON = Identity(
    "PASSPORT",
    None,
    "DEU",
    first_name="ANNA  MARIA",
    last_name="MUELLER",
    date_of_birth="1990-01-02",
    document_number="C01",
)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"status": "ERROR_NOT_READABLE_ID"}, "STATUS"),
        ({"reasons": (Reason("document", "BLURRED", "200"),)}, "REJECT_REASON"),
        ({"identities": (replace(PERSON, document_number="C02"),)}, "DOCUMENT_NUMBER"),
        ({"identities": (replace(PERSON, last_name="MEIER"),)}, "LAST_NAME"),
        ({"identities": (replace(PERSON, date_of_birth="1990-02-01"),)}, "DATE_OF_BIRTH"),
        ({"identities": (replace(PERSON, issuing_country="AUT"),)}, "ISSUING_COUNTRY"),
    ],
)
def test_two_rejections_that_differ_are_a_contradiction(change: dict[str, Any], difference: str) -> None:
    told = replace(DENIED, said_at=EARLIER, reasons=(Reason("document", "FAKE", "106"),), identities=(PERSON,))

    verdict = reconcile(told, replace(told, said_at=None, **change))

    assert (verdict.outcome, verdict.label) == ("warning", CONTRADICTION)
    assert verdict.reasons[2:] == (Reason("difference", difference),)
    assert reconcile(told, replace(told, said_at=LATER, **change)).label != CONTRADICTION


@pytest.mark.parametrize(
    "change",
    [
        {"identities": (replace(PERSON, first_name=" anna maria"),)},
        {"identities": (replace(PERSON, document_number=None),)},
        {"identities": ()},
        {"reasons": ()},
    ],
)
def test_what_one_of_them_leaves_out_or_writes_otherwise_is_no_difference(change: dict[str, Any]) -> None:
    told = replace(DENIED, said_at=EARLIER, reasons=(Reason("document", "FAKE", "106"),), identities=(PERSON,))

    assert reconcile(told, replace(told, said_at=None, **change)).label == "DENIED_FRAUD"


def test_time_that_ran_out_has_several_words() -> None:
    told = replace(TOLD, status="NO_ID_UPLOADED", expired=True)

    assert reconcile(told, replace(told, status="TOKEN_EXPIRED", said_at=None)).outcome == "expired"


def test_a_later_word_is_a_correction() -> None:
    verdict = reconcile(TOLD, replace(DENIED, said_at=LATER))

    assert (verdict.outcome, verdict.label) == ("rejected", "DENIED_FRAUD")


def test_a_callback_without_a_time_cannot_be_corrected() -> None:
    assert reconcile(replace(TOLD, said_at=None), replace(DENIED, said_at=LATER)).label == CONTRADICTION


def test_a_check_that_only_the_retrieval_knows_contradicts_nothing() -> None:
    told = replace(TOLD, checks=(check("passed"),))
    more = (check("passed"), check("warning", "ALERT", "addressValidation"))
    doubtful = replace(told, decision=decided("warning", "APPROVED_VERIFIED"), checks=more, said_at=None)

    assert reconcile(told, doubtful) == decide(doubtful)
    assert reconcile(doubtful, told).label == CONTRADICTION
    assert reconcile(told, replace(doubtful, decision=REJECTED)).label == CONTRADICTION


def test_what_was_told_on_the_way_contradicts_nothing() -> None:
    assert reconcile(replace(TOLD, final=False, decision=None), DENIED) == decide(DENIED)
    with pytest.raises(UndecidedError):
        reconcile(TOLD, replace(DENIED, final=False))


@given(told=REPORTS, confirmed=REPORTS.filter(lambda report: report.final))
def test_only_two_passes_or_a_pass_alone_make_a_pass(told: Report, confirmed: Report) -> None:
    verdict = reconcile(told, confirmed)

    if verdict.outcome == "passed":
        assert decide(confirmed).outcome == "passed"
        assert not told.final or decide(told).outcome == "passed"
