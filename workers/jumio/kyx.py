"""Details and steps of a KYX workflow -> a report. Pure, and tolerant by every rule of protocol.md D.5."""

from typing import Any

from schemas.callbacks import lenient
from schemas.callbacks.kyx import EXPIRED, FINAL, OUTCOMES, UNDERWAY
from schemas.callbacks.lenient import Object, Reader, tidy
from schemas.report import Check, Decision, Identity, Part, Report, Step
from workers.errors import JumioAnswerError, JumioNotReadyError, MismatchError
from workers.jumio.lenient import canonical, read_object

# protocol.md D.2. Others are kept as well; they are only noted.
CAPABILITIES = frozenset(
    {
        "usability", "liveness", "similarity", "authentication", "imageChecks", "extraction", "dataChecks",
        "watchlistScreening", "addressValidation", "proofOfResidency", "drivingLicenseVerification",
        "braCpfValidation", "biometricVerification",
    }
)  # fmt: skip
# protocol.md D.1, with those of the newer documents.
_MEMBERS = {
    "details": frozenset(
        {
            "createdAt", "startedAt", "completedAt", "account", "workflow", "decision", "steps", "credentials",
            "capabilities", "wipedOutAt", "captureClient", "feedback", "timestamp",
        }
    ),
    "workflow": frozenset(
        {
            "id", "href", "status", "definitionKey", "userReference", "customerInternalReference",
            "originalDefinitionKey", "reportingCriteria", "childIds", "parentId",
        }
    ),
}  # fmt: skip
CLASSIFIER = lenient.CLASSIFIER
# Data that was known before the journey, in JSON (protocol.md C.3).
_NO_IMAGE = "PREPARED_DATA"


def read_report(details: bytes, steps: bytes | None, *, account_id: str, workflow_key: str) -> Report:
    """What the two documents say; steps are None for workflows of before there were any (404).

    Raises JumioAnswerError for what is no details document, MismatchError for one of another workflow.
    """
    document = read_object(details, asked="details")
    groups = None if steps is None else read_object(steps, asked="steps")
    workflow = document.get("workflow")
    if not isinstance(workflow, dict):
        raise JumioAnswerError("details", "has no workflow object")
    reader = Reader()
    _require_asked(reader, workflow, "workflow", workflow_key)
    _require_asked(reader, reader.object(document, "account"), "account", account_id)
    status = _status(reader, workflow, asked="details")
    if status not in FINAL and status not in UNDERWAY:
        reader.note("unknown_status", status)
    for shown, member in ((document, "details"), (workflow, "workflow")):
        reader.note_unknown(shown, _MEMBERS[member], code="unknown_member")

    return Report(
        family="kyx",
        workflow_key=workflow_key,
        account_id=account_id,
        status=status,
        final=status in FINAL,
        expired=status in EXPIRED,
        raw=canonical({"details": document, "steps": groups}),
        decision=_decision(reader, document),
        definition_key=reader.word(workflow, "definitionKey"),
        user_reference=reader.text(workflow, "userReference"),
        customer_reference=reader.text(workflow, "customerInternalReference"),
        started_at=reader.time(document, "startedAt"),
        completed_at=reader.time(document, "completedAt"),
        checks=_checks(reader, document),
        steps=_steps(reader, groups or {}),
        identities=_identities(reader, document),
        parts=_parts(reader, document),
        provisional=_is_searching(reader, document),
        oddities=reader.oddities,
    )


def expired_report(document: dict[str, Any], *, account_id: str, workflow_key: str) -> Report:
    """What the status call says of a workflow that expired: some have no details (protocol.md C.5).

    Raises JumioNotReadyError where it did not expire: then the missing details are still to come.
    """
    workflow = document.get("workflowExecution")
    if not isinstance(workflow, dict):
        raise JumioAnswerError("status", "has no workflowExecution object")
    reader = Reader()
    _require_asked(reader, workflow, "workflow", workflow_key)
    _require_asked(reader, reader.object(document, "account"), "account", account_id)
    status = _status(reader, workflow, asked="status")
    if status not in EXPIRED:
        raise JumioNotReadyError("details", "are not there, though the workflow did not expire")

    return Report(
        family="kyx",
        workflow_key=workflow_key,
        account_id=account_id,
        status=status,
        final=True,
        expired=True,
        raw=canonical({"details": None, "status": document, "steps": None}),
        definition_key=reader.word(workflow, "definitionKey"),
        oddities=reader.oddities,
    )


def _require_asked(reader: Reader, shown: Object, name: str, asked_for: str) -> None:
    found = shown.get("id")
    if found in (None, ""):
        reader.note("no_id", name)
    elif found != asked_for:
        raise MismatchError(f"{name}.id", "is not the one that was asked for")


def _status(reader: Reader, workflow: Object, *, asked: str) -> str:
    status = reader.word(workflow, "status")
    if status is None:
        raise JumioAnswerError(asked, "has no status")
    return status


def _decision(reader: Reader, parent: Object) -> Decision | None:
    """None where there is none; an unknown one is a warning, whatever its label says."""
    found = reader.object(parent, "decision")
    if not found:
        return None
    kind = found.get("type")
    outcome = OUTCOMES.get(kind) if isinstance(kind, str) else None
    if outcome is None:
        reader.note("unknown_decision", reader.word(found, "type") or "type")
    label = reader.word(reader.object(found, "details"), "label") or reader.word(found, "type") or "NO_LABEL"
    score = reader.score(reader.object(found, "risk"), "score")
    return Decision(outcome=outcome or "warning", label=label, risk_score=score)


def _own_decision(reader: Reader, entry: Object, member: str) -> Decision:
    """A check or step without a decision has not passed: a person has to look."""
    decision = _decision(reader, entry)
    if decision is None:
        reader.note("no_decision", member)
    return decision or Decision(outcome="warning", label="NO_DECISION")


def _checks(reader: Reader, document: Object) -> tuple[Check, ...]:
    found = []
    capabilities = reader.object(document, "capabilities")
    for name in capabilities:
        if name not in CAPABILITIES:
            reader.note("unknown_capability", name)
        for entry in reader.objects(capabilities, name):
            decision = _own_decision(reader, entry, name)
            ids = [reader.id(credential, "id") for credential in reader.objects(entry, "credentials")]
            found.append(
                Check(
                    capability=tidy(name),
                    credential_ids=tuple(credential_id for credential_id in ids if credential_id),
                    outcome=decision.outcome,
                    label=decision.label,
                )
            )
    return tuple(found)


def _steps(reader: Reader, document: Object) -> tuple[Step, ...]:
    found = []
    for entry in reader.objects(document, "steps"):
        decision = _own_decision(reader, entry, "steps")
        found.append(
            Step(
                step_id=reader.id(entry, "id") or "",
                name=reader.word(entry, "name") or "UNKNOWN",
                outcome=decision.outcome,
                label=decision.label,
                risk_score=decision.risk_score,
            )
        )
    return tuple(found)


def _identities(reader: Reader, document: Object) -> tuple[Identity, ...]:
    entries = reader.objects(reader.object(document, "capabilities"), "extraction")
    found = [_identity(reader, reader.object(entry, "data")) for entry in entries]
    return tuple(identity for identity in found if identity != Identity())


def _identity(reader: Reader, data: Object) -> Identity:
    return Identity(
        document_type=reader.kind(data, "type", ()),
        document_subtype=reader.kind(data, "subType", ()),
        issuing_country=reader.word(data, "issuingCountry"),
        first_name=reader.text(data, "firstName"),
        last_name=reader.text(data, "lastName"),
        date_of_birth=reader.word(data, "dateOfBirth"),
        document_number=reader.word(data, "documentNumber"),
        issuing_date=reader.word(data, "issuingDate"),
        expiry_date=reader.word(data, "expiryDate"),
    )


def _is_searching(reader: Reader, document: Object) -> bool:
    """Whether Jumio still compares the face with those of others, which may add a finding later (protocol.md C.5)."""
    entries = reader.objects(reader.object(document, "capabilities"), "imageChecks")
    searches = [reader.object(reader.object(entry, "data"), "faceSearchFindings") for entry in entries]
    return any((reader.word(search, "status") or "").upper() == "PENDING" for search in searches)


def _parts(reader: Reader, document: Object) -> tuple[Part, ...]:
    found: dict[tuple[str, str], Part] = {}
    for credential in reader.objects(document, "credentials"):
        credential_id = reader.id(credential, "id")
        if credential_id is None:
            continue
        category = reader.word(credential, "category") or reader.word(credential, "categrory") or "UNKNOWN"
        for entry in reader.objects(credential, "parts"):
            classifier = reader.word(entry, "classifier") or ""
            if not CLASSIFIER.fullmatch(classifier):
                reader.note("not_classifier", "parts")
            elif classifier != _NO_IMAGE:
                before = found.get((credential_id, classifier))
                offered = reader.text(entry, "href") is not None or (before is not None and before.offered)
                found[credential_id, classifier] = Part(credential_id, category, classifier, offered)
    return tuple(found.values())
