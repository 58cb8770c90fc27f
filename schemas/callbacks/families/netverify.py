"""Netverify ID Verification, Jumio Go and performNetverify (callback and retrieval guides)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product

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
from schemas.callbacks.legacy_shapes import EMBEDDED, SCAN
from schemas.callbacks.lenient import (
    CLASSIFIER,
    Object,
    Reader,
    UnreadableAnswerError,
    anywhere,
    canonical,
    is_searching,
    read_object,
    require_same,
    require_short,
)
from schemas.callbacks.netverify_checks import (
    SIGNS,
    SIMILARITIES,
    additional_checks,
    person_checks,
)
from schemas.callbacks.netverify_reasons import reject_reasons
from schemas.callbacks.netverify_words import FIELDS, RENAMED, SUBTYPES, TYPES
from schemas.callbacks.parts import distinct_parts, numbered_parts, shown_classifier
from schemas.callbacks.shape import as_known
from schemas.report import Check, Decision, Family, Identity, Outcome, Part, Report
from schemas.verdict import Row

NAME: Family = "netverify"
HOST: Host = "legacy"

STATUSES: Mapping[str, tuple[Outcome, str]] = {
    "APPROVED_VERIFIED": ("passed", "The document is good; the person check is separate and has its own say."),
    "DENIED_FRAUD": ("rejected", "Reject reasons 1xx say what was found."),
    "DENIED_UNSUPPORTED_ID_TYPE": ("unsupported", "Jumio does not know the type, or the portal does not allow it."),
    "DENIED_UNSUPPORTED_ID_COUNTRY": (
        "unsupported",
        "Jumio does not know the country, or the portal does not allow it.",
    ),
    "ERROR_NOT_READABLE_ID": (
        "rejected",
        "Reject reasons say why; also a user who left in the second or third attempt.",
    ),
    "NO_ID_UPLOADED": ("expired", "Never begun, or left in the first attempt: time ran out."),
}
# A transaction that has ended, without a word on the document (developer.jumio.ai has the last two for v2 as well).
_ENDED = frozenset({"DONE", "FAILED", "PROCESSED", "SESSION_EXPIRED", "TOKEN_EXPIRED"})
EXPIRED = frozenset({"NO_ID_UPLOADED", "SESSION_EXPIRED", "TOKEN_EXPIRED"})
_VALIDITIES: Mapping[str, Outcome] = {"true": "passed", "false": "rejected"}
_ADDITIONAL_REMARK = "verificationStatus does not count them; one that was not done takes nothing away."

_IMAGE_FIELDS = (("idScanImage", "FRONT"), ("idScanImageBackside", "BACK"), ("idScanImageFace", "FACE"))
_CATEGORIES = {"FACE": "SELFIE", "FACEMAP": "FACEMAP"}
_CLASSIFIERS = frozenset({"FRONT", "BACK", "FACE", "FACEMAP"})
_LIVENESS = "LIVENESS_"
_ELSEWHERE = ("identityVerification", "rejectReason", "additionalChecks", "similarityDecision", "similarityScore")


def recognises(form: Form) -> bool:
    if kind := first(form, "callbacktype"):
        return kind.upper() == "NETVERIFYID"
    return bool(form.get("jumioidscanreference") and form.get("verificationstatus"))


def read(form: Form) -> Callback:
    key = require_key(form, "jumioidscanreference")
    reader = Reader()
    found = as_object(form, reader, fields=FIELDS, embedded=EMBEDDED)
    if reader.word(found, "verificationStatus") is None and as_underway(reader.word(found, "idScanStatus")) in UNDERWAY:
        # What performNetverify sends between its steps is nowhere published.
        found["verificationStatus"] = found["idScanStatus"]
    status = require_status(reader.word(found, "verificationStatus"))
    said_at = reader.time(found, "callbackDate")
    parts = _told_parts(reader, found, key)
    told = _report(reader, found, key, status=status, parts=parts, raw=raw_form(form), said_at=said_at)
    return Callback(NAME, key, "", status, stage_of(status, {*STATUSES, *EXPIRED}), said_at, told)


def reads(key: str) -> Mapping[str, str]:
    """The status first, as the guide demands; while it is PENDING there are no data."""
    return {"status": f"/scans/{key}", "data": f"/scans/{key}/data", "images": f"/scans/{key}/images"}


def report(documents: Mapping[str, bytes | None], key: str) -> Report:
    reader = Reader()
    answers = {name: None if body is None else read_object(body, asked=name) for name, body in documents.items()}
    shown = {name: as_known(reader, answer or {}, SCAN[name]) for name, answer in answers.items()}
    for answer in filter(None, shown.values()):
        require_same(reader, answer, "scanReference", key)
    state, data, images = (shown.get(name, {}) for name in ("status", "data", "images"))
    found = _renamed(reader, data)
    status = _shown_status(reader, state, found)
    found["status"] = state.get("status")
    return _report(
        reader,
        found,
        key,
        status=status,
        parts=_shown_parts(reader, data, images, key),
        raw=canonical(answers),
        # The time of answering, beside it, is none at which the result changed.
        said_at=reader.time(reader.object(data, "transaction"), "updatedAt"),
    )


def image_path(key: str, classifier: str) -> str:
    """Raises ValueError for what may not stand in a path."""
    if not is_id(key) or not CLASSIFIER.fullmatch(classifier):
        raise ValueError("neither a reference nor a classifier")
    if classifier == "FACEMAP":
        return f"/scans/{key}/data/facemap"
    number = classifier.removeprefix(_LIVENESS)
    return f"/scans/{key}/images/" + (f"liveness/{number}" if number != classifier else classifier.lower())


def vocabulary() -> Iterator[Row]:
    """Every word alone; the one for a good document with everything that may stand beside it."""
    for status, (outcome, remark) in STATUSES.items():
        if outcome != "passed":
            yield Row(NAME, status, "", outcome, remark)
            continue
        yield Row(NAME, status, "person check off (absent or {})", _conclude(outcome, ()), remark)
        for similarity, validity in product((*SIMILARITIES, "other or none"), (*_VALIDITIES, "other or none")):
            alike = Check("similarity", (), SIMILARITIES.get(similarity, "warning"), "")
            alive = Check("liveness", (), _VALIDITIES.get(validity, "warning"), "")
            besides = f"similarity {similarity}, validity {validity}"
            yield Row(NAME, status, besides, _conclude(outcome, (alike, alive)), "")
        doubt = _conclude(outcome, (Check("additionalChecks", (), "rejected", ""),))
        yield Row(NAME, status, "an additional check with a hit, a no or an unknown word", doubt, _ADDITIONAL_REMARK)
        yield Row(
            NAME, status, f"{' or '.join(SIGNS)} alone", "warning", "Jumio looked at the person, and says too little."
        )
        yield Row(NAME, status, "a rejectReason", "warning", "It contradicts itself.")
        for member, words in CONSENTING.items():
            besides = f"{member} that is none of {', '.join(sorted(words))}"
            yield Row(NAME, status, besides, "warning", "It contradicts itself.")
    for status in sorted(EXPIRED - STATUSES.keys()):
        yield Row(NAME, status, "", "expired", "Newer documents have it for the retrieval API v2 too.")
    yield Row(NAME, "any other word", "", "warning", "Unknown words are for a person to look at.")
    yield Row(NAME, ", ".join(sorted(UNDERWAY)), "", None, "Not done yet: kept and shown, never a verdict.")


def _report(
    reader: Reader,
    found: Object,
    key: str,
    *,
    status: str,
    parts: Iterable[Part],
    raw: bytes,
    said_at: datetime | None,
) -> Report:
    outcome = _document_outcome(reader, found, status)
    others = (*person_checks(reader, found, key), *additional_checks(reader, found, key))
    # A check knows four outcomes; what was not supported, or never came, was not looked at.
    checked = "not_executed" if outcome in {"unsupported", "expired"} else outcome
    identity = _identity(reader, found)
    return Report(
        family=NAME,
        workflow_key=key,
        account_id="",
        status=status,
        final=status not in UNDERWAY,
        expired=outcome == "expired",
        raw=raw,
        decision=None if status in UNDERWAY else Decision(_conclude(outcome, others), status),
        user_reference=reader.word(found, "customerId"),
        customer_reference=reader.word(found, "merchantIdScanReference"),
        started_at=reader.time(found, "transactionDate"),
        checks=() if status in UNDERWAY else (Check("document", (key,), checked, status), *others),
        identities=() if identity == Identity() else (identity,),
        parts=distinct_parts(parts),
        reasons=reject_reasons(reader, found),
        provisional=is_searching(found.get("additionalChecks")),
        said_at=said_at,
        oddities=reader.oddities,
    )


def _document_outcome(reader: Reader, found: Object, status: str) -> Outcome:
    """Unknown words, and an approval that contradicts itself, are for a person to look at."""
    if status not in STATUSES:
        if status not in UNDERWAY:
            reader.note("unknown_status", status)
        return "expired" if status in EXPIRED else "warning"
    outcome = STATUSES[status][0]
    return "warning" if outcome == "passed" and objections(reader, found) else outcome


def _conclude(document: Outcome, others: Sequence[Check]) -> Outcome:
    """A good document passes only with the person, where Jumio looked at one; the other checks can but raise doubt."""
    if document != "passed":
        return document
    person = {check.outcome for check in others if check.capability in {"similarity", "liveness"}}
    if "rejected" in person:
        return "rejected"
    return "warning" if {check.outcome for check in others} & {"rejected", "warning"} else "passed"


def _identity(reader: Reader, found: Object) -> Identity:
    return Identity(
        document_type=reader.kind(found, "idType", TYPES),
        document_subtype=reader.kind(found, "idSubtype", SUBTYPES),
        issuing_country=reader.word(found, "idCountry"),
        first_name=reader.word(found, "idFirstName"),
        last_name=reader.word(found, "idLastName"),
        date_of_birth=reader.word(found, "idDob"),
        document_number=reader.word(found, "idNumber"),
        issuing_date=reader.word(found, "issuingDate"),
        expiry_date=reader.word(found, "idExpiry"),
        issuing_state=reader.word(found, "idUsState"),
    )


def _told_parts(reader: Reader, found: Object, key: str) -> Iterator[Part]:
    for member, classifier in (*_IMAGE_FIELDS, ("facemap", "FACEMAP")):
        for image in reader.images(found, member):
            yield Part(key, _CATEGORIES.get(classifier, "ID"), classifier, image.offered)
    yield from numbered_parts(reader, found, "livenessImages", Part(key, "FACEMAP", _LIVENESS, offered=True))


def _shown_parts(reader: Reader, data: Object, images: Object, key: str) -> Iterator[Part]:
    for image in (*reader.images(images, "images"), *reader.images(data, "facemap")):
        classifier = shown_classifier(image)
        if not CLASSIFIER.fullmatch(classifier):
            reader.note("not_classifier", "images")
            continue
        is_live = classifier.startswith(_LIVENESS)
        if classifier not in _CLASSIFIERS and not is_live:
            reader.note("unknown_classifier", classifier)
        yield Part(key, "FACEMAP" if is_live else _CATEGORIES.get(classifier, "ID"), classifier, image.offered)
    yield from numbered_parts(reader, images, "livenessImages", Part(key, "FACEMAP", _LIVENESS, offered=True))


def _renamed(reader: Reader, data: Object) -> Object:
    """The document of the retrieval API under the names of the callback."""
    parts = {member: reader.object(data, member) for member in RENAMED}
    found = {new: part[old] for member, part in parts.items() for old, new in RENAMED[member].items() if old in part}
    for member in _ELSEWHERE:
        # Wherever it is: what is said of the person must not be missed. Two of them are one that cannot be read.
        shown: list[object] = []
        for value in anywhere(data, member):
            if value not in (None, "", [], {}, *shown):
                shown.append(value)
        if shown:
            found[member] = shown[0] if len(shown) == 1 else shown
    if data.get("verification") and not parts["verification"]:
        # What cannot be read is not the same as a person check that was off.
        found["identityVerification"] = data["verification"]
    return found


def _shown_status(reader: Reader, state: Object, found: Object) -> str:
    """Jumio's word on the document, once the transaction has ended.

    Raises UnreadableAnswerError where it has ended and there is none: then the data are still to come, or gone.
    """
    ended, status = as_underway(reader.word(state, "status")), reader.word(found, "verificationStatus")
    if ended in UNDERWAY:
        return ended
    if ended not in _ENDED:
        reader.note("unknown_status" if ended else "no_word", ended or "status")
    if status is None and ended in EXPIRED:
        return ended
    if status is None:
        raise UnreadableAnswerError("data", "say nothing of the document, though the transaction has ended")
    return require_short(status, asked="data")
