"""fetched -> decided: one verdict for every product generation. Pure."""

from schemas.report import Check, Outcome, Reason, Report
from schemas.verdict import Basis, Verdict


class UndecidedError(Exception):
    """The transaction is not finished, so there is nothing to conclude yet."""


def decide(report: Report, rests_on: Basis = "retrieval") -> Verdict:
    """Status first, then decision (protocol.md D.1): an expired journey may carry any decision.

    Raises UndecidedError where the status is not final. Never concludes `passed` without Jumio's own word for it.
    """
    if not report.final:
        raise UndecidedError(report.status)
    outcome, label = _conclude(report)
    return Verdict(
        outcome=outcome,
        label=label,
        risk_score=report.decision.risk_score if report.decision else None,
        reasons=report.reasons
        or tuple(Reason(check.capability, check.label) for check in report.checks if _is_reason(check)),
        checks=report.checks,
        steps=report.steps,
        rests_on=rests_on,
    )


def _conclude(report: Report) -> tuple[Outcome, str]:
    if report.expired:
        # Of the same thing Jumio says REJECTED/100 or NOT_EXECUTED/-1; what happened is that time ran out.
        return "expired", report.status
    if report.decision is None:
        return _without_decision(report), "NO_DECISION"
    return report.decision.outcome, report.decision.label


def _without_decision(report: Report) -> Outcome:
    """Workflows of before the KYX platform have checks only: a person has to look, unless one was rejected."""
    outcomes = {check.outcome for check in report.checks}
    if "rejected" in outcomes:
        return "rejected"
    return "warning" if outcomes - {"not_executed"} else "not_executed"


def _is_reason(check: Check) -> bool:
    """A check that was not executed for want of another is a consequence, not a reason."""
    return check.outcome in {"rejected", "warning"}
