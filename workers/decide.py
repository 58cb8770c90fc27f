"""fetched -> decided: one verdict for every product generation. Pure."""

from dataclasses import replace

from schemas.report import Check, Outcome, Reason, Report
from schemas.verdict import Basis, Verdict

# The label of a verdict that rests on two words of Jumio's which cannot both be true: somebody has to look, and soon.
CONTRADICTION = "CONTRADICTION"
# What makes a document this one, and its holder this person.
_IDENTIFYING = ("document_number", "first_name", "last_name", "date_of_birth", "issuing_country")


class UndecidedError(Exception):
    """The transaction is not finished, so there is nothing to conclude yet."""


def decide(report: Report, rests_on: Basis = "retrieval") -> Verdict:
    """Status first, then decision (KYX guide): an expired journey may carry any decision.

    Raises UndecidedError where the status is not final. Never concludes `passed` without Jumio's own word for it.
    """
    if not report.final:
        raise UndecidedError(report.status)
    outcome, label = _conclude(report)
    return Verdict(
        outcome=outcome,
        label=label,
        risk_score=report.decision.risk_score if report.decision else None,
        reasons=_reasons(report),
        checks=report.checks,
        steps=report.steps,
        rests_on=rests_on,
    )


def reconcile(told: Report, confirmed: Report) -> Verdict:
    """The verdict from what a callback told and what the retrieval API then said of the same transaction.

    A difference is a contradiction, unless Jumio says that it changed its mind after the callback. Raises
    UndecidedError where the retrieval API does not call it final.
    """
    verdict = decide(confirmed)
    if not told.final:
        return verdict
    before = decide(told, "callback")
    differences = _differences(told, confirmed, before, verdict)
    if not differences or _is_correction(told, confirmed) or _says_less(told, confirmed):
        return verdict
    reasons = (
        Reason("callback", before.label),
        Reason("retrieval", verdict.label),
        *(Reason("difference", name) for name in differences),
    )
    return replace(verdict, outcome="warning", label=CONTRADICTION, reasons=reasons)


def _differences(told: Report, confirmed: Report, before: Verdict, verdict: Verdict) -> list[str]:
    """What the two say of the same thing in two ways, by name and never by value."""
    found = []
    if before.outcome != verdict.outcome and not _is_completion(told, confirmed, verdict):
        found.append("OUTCOME")
    # Time that ran out has several words.
    if told.status != confirmed.status and not (told.expired and confirmed.expired):
        found.append("STATUS")
    codes = [{reason.code for reason in report.reasons if reason.code} for report in (told, confirmed)]
    if all(codes) and codes[0] != codes[1]:
        found.append("REJECT_REASON")
    # A paper is read more finely by the retrieval API than it is told of; nobody's identity rests on it.
    identifying = () if told.family == "document" else _IDENTIFYING
    return found + [name.upper() for name in identifying if _is_another(told, confirmed, name)]


def _is_another(told: Report, confirmed: Report, name: str) -> bool:
    """Whether both say what it is, and no two of them the same."""
    values = [
        {" ".join(value.casefold().split()) for identity in report.identities if (value := getattr(identity, name))}
        for report in (told, confirmed)
    ]
    return all(values) and values[0].isdisjoint(values[1])


def _is_correction(told: Report, confirmed: Report) -> bool:
    return told.said_at is not None and confirmed.said_at is not None and confirmed.said_at > told.said_at


def _says_less(told: Report, confirmed: Report) -> bool:
    """A callback may leave out the word on the document (document guide), which the retrieval API then adds."""
    return confirmed.status.startswith(f"{told.status}/")


def _is_completion(told: Report, confirmed: Report, verdict: Verdict) -> bool:
    """Some checks are in the retrieval API alone (retrieval guide); one of them may well raise a doubt."""
    return verdict.outcome == "warning" and told.status == confirmed.status and set(told.checks) < set(confirmed.checks)


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


def _reasons(report: Report) -> tuple[Reason, ...]:
    """Jumio's own first, then the checks of which they say nothing."""
    said = {reason.check for reason in report.reasons}
    found = [Reason(check.capability, check.label) for check in report.checks if _is_reason(check)]
    return (*report.reasons, *(reason for reason in found if reason.check not in said))


def _is_reason(check: Check) -> bool:
    """A check that was not executed for want of another is a consequence, not a reason."""
    return check.outcome in {"rejected", "warning"}
