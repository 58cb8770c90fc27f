"""Netverify Authentication: the same person again, by the face alone (authentication and retrieval guides)."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from schemas.callbacks.callback import Callback, is_id
from schemas.callbacks.consent import CONSENTING, objections
from schemas.callbacks.family import Form, Host
from schemas.callbacks.forms import (
    UNDERWAY,
    as_object,
    as_underway,
    first,
    raw_form,
    require_key,
    require_status,
    stage_of,
)
from schemas.callbacks.legacy_shapes import AUTHENTICATION, EMBEDDED_AUTHENTICATION
from schemas.callbacks.lenient import (
    CLASSIFIER,
    Object,
    Reader,
    UnreadableAnswerError,
    canonical,
    read_object,
    require_same,
    require_short,
)
from schemas.callbacks.netverify_checks import person_checks
from schemas.callbacks.parts import distinct_parts, numbered_parts, shown_classifier
from schemas.callbacks.shape import as_known
from schemas.report import Check, Decision, Family, Outcome, Part, Report
from schemas.verdict import Row

NAME: Family = "authentication"
HOST: Host = "legacy"

RESULTS: Mapping[str, tuple[Outcome, str]] = {
    "PASSED": ("passed", "The face is that of the enrolment, and alive."),
    "FAILED": ("rejected", "The face is not that of the enrolment, or not alive."),
    "INVALID": ("rejected", "No guide explains it; what is certain is that nobody was recognised."),
    "EXPIRED": ("expired", "Not finished in 15 minutes, or displaced by a newer one of the same enrolment."),
}
_FIELDS = (
    "callBackType", "transactionReference", "enrollmentTransactionReference", "transactionResult", "transactionDate",
    "callbackDate", "scanSource", "idScanImageFace", "images", "livenessImages", "userReference",
    "rejectReason", "identityVerification", *CONSENTING,
)  # fmt: skip
_LIVENESS = "LIVENESS_"


def recognises(form: Form) -> bool:
    if kind := first(form, "callbacktype"):
        return kind.upper() == "NETVERIFY_AUTHENTICATION"
    return bool(form.get("enrollmenttransactionreference") and form.get("transactionresult"))


def read(form: Form) -> Callback:
    key = require_key(form, "transactionreference")
    reader = Reader()
    found = as_object(form, reader, fields=_FIELDS, embedded=EMBEDDED_AUTHENTICATION)
    status = require_status(reader.word(found, "transactionResult"))
    said_at = reader.time(found, "callbackDate")
    told = _report(reader, found, key, status=status, raw=raw_form(form), said_at=said_at)
    return Callback(NAME, key, "", status, stage_of(status, RESULTS), said_at, told)


def reads(key: str) -> Mapping[str, str]:
    return {"authentication": f"/authentications/{key}"}


def report(documents: Mapping[str, bytes | None], key: str) -> Report:
    body = documents.get("authentication")
    if body is None:
        raise UnreadableAnswerError("authentication", "is not there")
    reader = Reader()
    document = read_object(body, asked="authentication")
    shown = as_known(reader, document, AUTHENTICATION)
    require_same(reader, shown, "transactionReference", key)
    word = as_underway(reader.word(shown, "transactionResult"))
    status = require_short(word, asked="authentication")
    raw, said_at = canonical({"authentication": document}), reader.time(shown, "updatedAt")
    return _report(reader, shown, key, status=status, raw=raw, said_at=said_at)


def image_path(key: str, classifier: str) -> str:
    """Raises ValueError for what may not stand in a path."""
    if not is_id(key) or not CLASSIFIER.fullmatch(classifier):
        raise ValueError("neither a reference nor a classifier")
    number = classifier.removeprefix(_LIVENESS)
    return f"/authentications/{key}/images/" + (f"liveness/{number}" if number != classifier else classifier.lower())


def vocabulary() -> Iterator[Row]:
    for status, (outcome, remark) in RESULTS.items():
        yield Row(NAME, status, "", outcome, remark)
    besides = "a rejectReason, or a field that contradicts an approval of netverify"
    yield Row(NAME, "PASSED", besides, "warning", "It contradicts itself.")
    yield Row(NAME, "any other word", "", "warning", "Unknown words are for a person to look at.")
    yield Row(NAME, ", ".join(sorted(UNDERWAY)), "", None, "Not done yet: kept and shown, never a verdict.")


def _report(reader: Reader, found: Object, key: str, *, status: str, raw: bytes, said_at: datetime | None) -> Report:
    if status not in RESULTS and status not in UNDERWAY:
        reader.note("unknown_status", status)
    outcome, _ = RESULTS.get(status, ("warning", ""))
    if outcome == "passed" and (objections(reader, found) or _is_another_person(reader, found, key)):
        outcome = "warning"
    checked: Outcome = "not_executed" if outcome == "expired" else outcome
    return Report(
        family=NAME,
        workflow_key=key,
        account_id="",
        status=status,
        final=status not in UNDERWAY,
        expired=outcome == "expired",
        raw=raw,
        decision=None if status in UNDERWAY else Decision(outcome, status),
        user_reference=reader.word(found, "userReference"),
        started_at=reader.time(found, "transactionDate"),
        checks=() if status in UNDERWAY else (Check("authentication", (key,), checked, status),),
        parts=distinct_parts(_parts(reader, found, key)),
        said_at=said_at,
        oddities=reader.oddities,
    )


def _is_another_person(reader: Reader, found: Object, key: str) -> bool:
    """No guide shows it here; where it is, it says of the same face what Netverify's says."""
    if found.get("identityVerification") in (None, "", [], {}):
        return False
    return any(check.outcome != "passed" for check in person_checks(reader, found, key))


def _parts(reader: Reader, found: Object, key: str) -> Iterator[Part]:
    """The callback names the face by its field, the retrieval API by a classifier."""
    for image in (*reader.images(found, "idScanImageFace"), *reader.images(found, "images")):
        classifier = shown_classifier(image) or "FACE"
        if not CLASSIFIER.fullmatch(classifier):
            reader.note("not_classifier", "images")
            continue
        is_live = classifier.startswith(_LIVENESS)
        if classifier != "FACE" and not is_live:
            reader.note("unknown_classifier", classifier)
        yield Part(key, "FACEMAP" if is_live else "SELFIE", classifier, image.offered)
    yield from numbered_parts(reader, found, "livenessImages", Part(key, "FACEMAP", _LIVENESS, offered=True))
