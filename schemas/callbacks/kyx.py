"""KYX: Jumio's present generation. A JSON callback without any result (KYX guide)."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.callbacks.callback import Callback, Stage, UnreadableCallbackError, is_id, read_time
from schemas.callbacks.kyx_shapes import CALLBACK, DECISION_LABELS, NEVER_PASSED
from schemas.callbacks.lenient import Reader
from schemas.callbacks.shape import as_known
from schemas.report import Family, Outcome
from schemas.verdict import Row

NAME: Family = "kyx"

# KYX guide, in the order of a journey; the first three come to nobody's verdict.
UNDERWAY = ("INITIATED", "ACQUISITION_STARTED", "ACQUIRED")
EXPIRED = ("SESSION_EXPIRED", "TOKEN_EXPIRED")
FINAL = ("PROCESSED", *EXPIRED)
# The one closed set of Jumio's (KYX guide): any other word is for a person to look at.
OUTCOMES: Mapping[str, Outcome] = {
    "PASSED": "passed",
    "REJECTED": "rejected",
    "WARNING": "warning",
    "NOT_EXECUTED": "not_executed",
}


def recognises(document: Any) -> bool:  # noqa: ANN401 - JSON is any of its types
    """By its members, never by the Content-Type."""
    return isinstance(document, dict) and {"workflowexecution", "account"} <= {name.lower() for name in document}


def read(document: dict[str, Any]) -> Callback:
    """Raises UnreadableCallbackError with code `shape`, `id` or `duplicate_keys`."""
    reader = Reader()
    try:
        document = as_known(reader, document, CALLBACK)
    except ValueError:
        raise UnreadableCallbackError("duplicate_keys", "a member in two spellings, with two values") from None
    workflow, account = document.get("workflowExecution"), document.get("account")
    if not isinstance(workflow, dict) or not isinstance(account, dict):
        raise UnreadableCallbackError("shape", "workflowExecution and account should be objects")
    status = workflow.get("status")
    if not isinstance(status, str) or not 0 < len(status) <= 64:  # noqa: PLR2004 - the longest known has 19
        raise UnreadableCallbackError("shape", "workflowExecution.status should be a short text")
    if not is_id(workflow.get("id")) or not is_id(account.get("id")):
        raise UnreadableCallbackError("id", "an id should be letters, digits and dashes, at most 64")
    return Callback(
        family="kyx",
        workflow_key=workflow["id"],
        account_id=account["id"],
        status=status,
        stage=stage(status),
        sent_at=read_time(document.get("callbackSentAt")),
        reference=reader.text(document, "userReference"),
        oddities=reader.oddities,
    )


def stage(status: str) -> Stage:
    """How far a status says that the workflow is; new words of Jumio's are `unknown`."""
    if status in FINAL:
        return "final"
    return "underway" if status in UNDERWAY else "unknown"


def vocabulary() -> Iterator[Row]:
    """Status first, then decision: of the same expired journey Jumio says REJECTED/100 or NOT_EXECUTED/-1."""
    for word, outcome in OUTCOMES.items():
        yield Row(NAME, "PROCESSED", f"decision {word}", outcome, "Jumio's own decision, by the customer's risk bands.")
    never = ", ".join(sorted(NEVER_PASSED & DECISION_LABELS))
    yield Row(NAME, "PROCESSED", f"decision PASSED, labelled {never}", "warning", "It contradicts itself.")
    yield Row(NAME, "PROCESSED", "any other decision", "warning", "Unknown words are for a person to look at.")
    older = "no decision (before the KYX platform)"
    yield Row(NAME, "PROCESSED", f"{older}, a check rejected", "rejected", "As good as Jumio's word.")
    yield Row(NAME, "PROCESSED", f"{older}, other checks", "warning", "A person has to look.")
    yield Row(NAME, "PROCESSED", f"{older}, nothing executed", "not_executed", "")
    for status in EXPIRED:
        yield Row(NAME, status, "any decision, or none", "expired", "What happened is that time ran out.")
    yield Row(
        NAME, ", ".join(UNDERWAY), "any decision, or none", None, "Not done yet: kept and shown, never a verdict."
    )
    yield Row(
        NAME, "any other word", "", None, "The status call and the details are asked; one that they call final decides."
    )
