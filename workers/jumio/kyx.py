"""Details and steps of a KYX workflow -> a report. Pure, and tolerant of every oddity in guide and recordings."""

from collections.abc import Collection
from typing import Any

from schemas.callbacks import lenient
from schemas.callbacks.kyx import EXPIRED, FINAL, OUTCOMES, UNDERWAY
from schemas.callbacks.kyx_shapes import (
    CATEGORIES,
    CLASSIFIERS,
    DECISION_LABELS,
    DETAILS,
    GROUPS,
    LABELS,
    NEVER_PASSED,
    STATUS,
    STEPS,
)
from schemas.callbacks.lenient import Object, Reader, is_searching, tidy
from schemas.callbacks.netverify_words import SUBTYPES, TYPES
from schemas.callbacks.shape import Shape, as_known
from schemas.report import Check, Decision, Identity, Part, Report, Step
from workers.errors import JumioAnswerError, JumioNotFoundError, JumioNotReadyError, MismatchError
from workers.jumio.lenient import canonical, read_object

CLASSIFIER = lenient.CLASSIFIER
# Data that was known before the journey, in JSON (recordings).
_NO_IMAGE = "PREPARED_DATA"


def read_report(details: bytes, steps: bytes | None, *, account_id: str, workflow_key: str) -> Report:
    """What the two documents say; steps are None for workflows of before there were any (404).

    Raises JumioAnswerError for what is no details document, MismatchError for one of another workflow and
    JumioNotFoundError where the result was wiped out: what was concluded before stands.
    """
    reader = Reader()
    answers = {"details": details, "steps": steps}
    raw = {name: None if body is None else read_object(body, asked=name) for name, body in answers.items()}
    document = _shown(reader, raw["details"] or {}, DETAILS, asked="details")
    groups = _shown(reader, raw["steps"] or {}, GROUPS, asked="steps")
    workflow = document.get("workflow")
    if not isinstance(workflow, dict):
        raise JumioAnswerError("details", "has no workflow object")
    _require_asked(reader, workflow, "workflow", workflow_key)
    _require_asked(reader, reader.object(document, "account"), "account", account_id)
    status = _shown_status(reader, document, workflow)

    return Report(
        family="kyx",
        workflow_key=workflow_key,
        account_id=account_id,
        status=status,
        final=status in FINAL,
        expired=status in EXPIRED,
        raw=canonical(raw),
        decision=_decision(reader, document, labels=DECISION_LABELS),
        definition_key=reader.word(workflow, "definitionKey"),
        user_reference=reader.text(workflow, "userReference"),
        customer_reference=reader.text(workflow, "customerInternalReference"),
        started_at=reader.time(document, "startedAt"),
        completed_at=reader.time(document, "completedAt"),
        checks=_checks(reader, document),
        steps=_steps(reader, groups),
        identities=_identities(reader, document),
        parts=_parts(reader, document),
        provisional=is_searching(document.get("capabilities")),
        oddities=reader.oddities,
    )


def expired_report(document: dict[str, Any], *, account_id: str, workflow_key: str) -> Report:
    """What the status call says of a workflow that expired: some have no details (retrieval guide).

    Raises JumioNotReadyError where it did not expire: then the missing details are still to come.
    """
    reader = Reader()
    shown = _shown(reader, document, STATUS, asked="status")
    workflow = shown.get("workflowExecution")
    if not isinstance(workflow, dict):
        raise JumioAnswerError("status", "has no workflowExecution object")
    _require_asked(reader, workflow, "workflow", workflow_key)
    _require_asked(reader, reader.object(shown, "account"), "account", account_id)
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


def _shown(reader: Reader, document: Object, known: Shape, *, asked: str) -> Object:
    try:
        return as_known(reader, document, known)
    except ValueError:
        raise JumioAnswerError(asked, "has a member in two spellings, with two values") from None


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


def _shown_status(reader: Reader, document: Object, workflow: Object) -> str:
    status = _status(reader, workflow, asked="details")
    if status not in FINAL and status not in UNDERWAY:
        reader.note("unknown_status", status)
    if document.get("wipedOutAt") and status not in EXPIRED and not document.get("decision"):
        raise JumioNotFoundError("details", "were wiped out")
    return status


def _decision(reader: Reader, parent: Object, *, labels: Collection[str] | None) -> Decision | None:
    """None where there is none; an unknown one is a warning, whatever its label says."""
    found = reader.object(parent, "decision")
    if not found:
        return None
    kind = found.get("type")
    outcome = OUTCOMES.get(kind) if isinstance(kind, str) else None
    if outcome is None:
        reader.note("unknown_decision", reader.word(found, "type") or "type")
    details = reader.object(found, "details")
    word = reader.word(details, "label")
    if word and labels is not None and word not in labels:
        reader.note("unknown_label", word)
    unread = not details and found.get("details") not in (None, "", [], {})
    if outcome == "passed" and (unread or (word or "").upper() in NEVER_PASSED):
        reader.note("contradicts", "label")
        outcome = "warning"
    label = word or reader.word(found, "type") or "NO_LABEL"
    score = reader.score(reader.object(found, "risk"), "score")
    return Decision(outcome=outcome or "warning", label=label, risk_score=score)


def _own_decision(reader: Reader, entry: Object, member: str, *, labels: Collection[str] | None) -> Decision:
    """A check or step without a decision has not passed: a person has to look."""
    decision = _decision(reader, entry, labels=labels)
    if decision is None:
        reader.note("no_decision", member)
    return decision or Decision(outcome="warning", label="NO_DECISION")


def _checks(reader: Reader, document: Object) -> tuple[Check, ...]:
    found = []
    capabilities = reader.object(document, "capabilities")
    for name in capabilities:
        if name not in LABELS:
            reader.note("unknown_capability", name)
        for entry in reader.objects(capabilities, name):
            decision = _own_decision(reader, entry, name, labels=LABELS.get(name))
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
        decision = _own_decision(reader, entry, "steps", labels=DECISION_LABELS)
        name = reader.word(entry, "name")
        if name and name not in STEPS:
            reader.note("unknown_step", name)
        found.append(
            Step(
                step_id=reader.id(entry, "id") or "",
                name=name or "UNKNOWN",
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
        document_type=reader.kind(data, "type", TYPES),
        document_subtype=reader.kind(data, "subType", SUBTYPES),
        issuing_country=reader.word(data, "issuingCountry"),
        first_name=reader.text(data, "firstName"),
        last_name=reader.text(data, "lastName"),
        date_of_birth=reader.word(data, "dateOfBirth"),
        document_number=reader.word(data, "documentNumber"),
        issuing_date=reader.word(data, "issuingDate"),
        expiry_date=reader.word(data, "expiryDate"),
        issuing_state=reader.word(data, "state"),
    )


def _parts(reader: Reader, document: Object) -> tuple[Part, ...]:
    found: dict[tuple[str, str], Part] = {}
    for credential in reader.objects(document, "credentials"):
        credential_id = reader.id(credential, "id")
        if credential_id is None:
            continue
        category = reader.word(credential, "category") or reader.word(credential, "categrory")
        if category and category not in CATEGORIES:
            reader.note("unknown_category", category)
        for entry in reader.objects(credential, "parts"):
            classifier = (reader.word(entry, "classifier") or "").upper()
            if not CLASSIFIER.fullmatch(classifier):
                reader.note("not_classifier", "parts")
                continue
            if classifier not in CLASSIFIERS:
                reader.note("unknown_classifier", classifier)
            if classifier != _NO_IMAGE:
                before = found.get((credential_id, classifier))
                offered = reader.text(entry, "href") is not None or (before is not None and before.offered)
                found[credential_id, classifier] = Part(credential_id, category or "UNKNOWN", classifier, offered)
    return tuple(found.values())
