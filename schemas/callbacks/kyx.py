"""KYX: Jumio's present generation. A JSON callback without any result (protocol.md A.2)."""

from typing import Any

from schemas.callbacks.callback import Callback, Stage, UnreadableCallbackError, is_id, read_time

# protocol.md A.2, in the order of a journey; the first three come to nobody's verdict.
UNDERWAY = ("INITIATED", "ACQUISITION_STARTED", "ACQUIRED")
EXPIRED = ("SESSION_EXPIRED", "TOKEN_EXPIRED")
FINAL = ("PROCESSED", *EXPIRED)


def recognises(document: Any) -> bool:  # noqa: ANN401 - JSON is any of its types
    """By its members, never by the Content-Type."""
    return isinstance(document, dict) and "workflowExecution" in document and "account" in document


def read(document: dict[str, Any]) -> Callback:
    """Raises UnreadableCallbackError with code `shape` or `id`."""
    workflow, account = document["workflowExecution"], document["account"]
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
    )


def stage(status: str) -> Stage:
    """How far a status says that the workflow is; new words of Jumio's are `unknown`."""
    if status in FINAL:
        return "final"
    return "underway" if status in UNDERWAY else "unknown"
