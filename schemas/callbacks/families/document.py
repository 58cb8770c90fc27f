"""Document Verification: any paper, stored page by page, and read where Jumio can (document and retrieval guides)."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from schemas.callbacks.callback import Callback, Stage, is_id
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
from schemas.callbacks.legacy_shapes import DOCUMENT, EMBEDDED_DOCUMENT, EXTRACTED
from schemas.callbacks.lenient import (
    CLASSIFIER,
    Image,
    Object,
    Reader,
    UnreadableAnswerError,
    canonical,
    read_object,
    read_value,
    require_same,
    require_short,
)
from schemas.callbacks.parts import distinct_parts
from schemas.callbacks.shape import as_known
from schemas.report import Check, Decision, Family, Identity, Outcome, Part, Report
from schemas.verdict import Row

NAME: Family = "document"
HOST: Host = "legacy_documents"

# By the guide these words are about extraction alone: nothing says that Jumio verified anything, so none is `passed`.
STATUSES: Mapping[str, tuple[Outcome, str]] = {
    "DONE/EXTRACTED": ("not_executed", "Its data were read; whether it is genuine, nobody looked at."),
    "DONE/UPLOADED": ("not_executed", "Stored, and no more."),
    "DONE/DISCARDED": ("unsupported", "By the guide: a document that is not supported for extraction."),
    "DONE/NOT_AVAILABLE": ("warning", "Seen, never documented: a person has to look."),
    "DONE": ("warning", "Done, without a word on the document: a person has to look."),
}
_FAILED = "FAILED"
_FIELDS = ("scanReference", "timestamp", "transaction", "document")
_CODES = "BC BS CAAP CB CC CCS CRC CUSTOM HCC IC LAG LOAP MEDC MOAP OTHER PB SEL SENC SS SSC STUC TAC TR UB VC VT WWCC"
_TYPES = frozenset(_CODES.split())
_PAGE = "PAGE_"
_DIGITS = 4


def recognises(form: Form) -> bool:
    return {"scanreference", "transaction", "timestamp"} <= form.keys() and not first(form, "callbacktype")


def read(form: Form) -> Callback:
    key = require_key(form, "scanreference")
    reader = Reader()
    found = as_object(form, reader, fields=_FIELDS, embedded=EMBEDDED_DOCUMENT)
    said_at = reader.time(found, "timestamp")
    told = _report(reader, found, {}, key, raw=raw_form(form), said_at=said_at)
    known = {*STATUSES, told.status} if told.expired else STATUSES
    stage: Stage = stage_of(told.status, known) if told.final else "underway"
    return Callback(NAME, key, "", require_status(told.status), stage, said_at, told)


def reads(key: str) -> Mapping[str, str]:
    return {"status": f"/documents/{key}", "data": f"/documents/{key}/data", "pages": f"/documents/{key}/pages"}


def report(documents: Mapping[str, bytes | None], key: str) -> Report:
    reader = Reader()
    answers = {name: None if body is None else read_object(body, asked=name) for name, body in documents.items()}
    shown = {name: as_known(reader, answer or {}, DOCUMENT[name]) for name, answer in answers.items()}
    for answer in filter(None, shown.values()):
        require_same(reader, answer, "scanReference", key)
    state, data, pages = (shown.get(name, {}) for name in ("status", "data", "pages"))
    found = {"document": data.get("document"), "transaction": data.get("transaction")}
    ended = as_underway(reader.word(state, "status"))
    if not data and ended not in {*UNDERWAY, _FAILED}:
        raise UnreadableAnswerError("data", "are not there, though the transaction has ended")
    transaction = reader.object(found, "transaction")
    if ended in UNDERWAY or not transaction.get("status"):
        # What is not done is not done, whatever the data say already.
        found["transaction"] = {**transaction, "status": ended}
    # The time of answering, beside the answers, is none at which the result changed.
    said_at = reader.time(reader.object(found, "transaction"), "updatedAt")
    result = _report(reader, found, pages, key, raw=canonical(answers), said_at=said_at)
    require_short(result.status, asked="data")
    return result


def image_path(key: str, classifier: str) -> str:
    """Raises ValueError for what may not stand in a path."""
    number = classifier.removeprefix(_PAGE)
    if not is_id(key) or not CLASSIFIER.fullmatch(classifier):
        raise ValueError("neither a reference nor a classifier")
    return f"/documents/{key}/" + (f"pages/{number}" if number != classifier else classifier.lower())


def vocabulary() -> Iterator[Row]:
    for status, (outcome, remark) in STATUSES.items():
        yield Row(NAME, status, "", outcome, remark)
    yield Row(NAME, _FAILED, "any document, or none", "expired", "Not finished within 15 minutes.")
    yield Row(NAME, "any other word", "", "warning", "Unknown words are for a person to look at.")
    yield Row(NAME, ", ".join(sorted(UNDERWAY)), "", None, "Not done yet: kept and shown, never a verdict.")


def _report(reader: Reader, found: Object, pages: Object, key: str, *, raw: bytes, said_at: datetime | None) -> Report:
    transaction, document = reader.object(found, "transaction"), reader.object(found, "document")
    ended = as_underway(reader.word(transaction, "status")) or "NO_STATUS"
    word = reader.word(document, "status")
    status = f"{ended}/{word}" if word else ended
    outcome = _outcome(reader, ended, status)
    # A check knows four outcomes; what was not supported, or never came, was not looked at.
    checked: Outcome = "not_executed" if outcome in {"unsupported", "expired"} else outcome
    extracted = [Check("extraction", (key,), "passed", word)] if word == "EXTRACTED" else []
    identity = _identity(reader, document)
    return Report(
        family=NAME,
        workflow_key=key,
        account_id="",
        status=status,
        final=ended not in UNDERWAY,
        expired=outcome == "expired",
        raw=raw,
        decision=None if ended in UNDERWAY else Decision(outcome, status),
        user_reference=reader.word(transaction, "customerId"),
        customer_reference=reader.word(transaction, "merchantScanReference"),
        started_at=reader.time(transaction, "date"),
        checks=() if ended in UNDERWAY else (Check("document", (key,), checked, word or ended), *extracted),
        identities=() if identity == Identity() else (identity,),
        parts=distinct_parts(_parts(reader, document, pages, key)),
        said_at=said_at,
        oddities=reader.oddities,
    )


def _outcome(reader: Reader, ended: str, status: str) -> Outcome:
    if ended == _FAILED:
        return "expired"
    if status not in STATUSES and ended not in UNDERWAY:
        reader.note("unknown_status", status.replace("/", "."))
    return STATUSES.get(status, ("warning", ""))[0]


def _identity(reader: Reader, document: Object) -> Identity:
    """What is in the text inside of the extracted data comes first: it is the finer reading of the same."""
    outer = reader.object(document, "extractedData")
    data = {**outer, **_inner(reader, outer)}
    kind = reader.kind(document, "type", _TYPES)
    first_name, last_name = reader.word(data, "firstName"), reader.word(data, "lastName")
    if kind != "SSC" and last_name is None:
        # By the guide firstName is then the whole name; it stands where Netverify puts one that it cannot part.
        first_name, last_name = None, reader.word(data, "name") or first_name
    is_card = kind == "CC"  # there the callback has the expiry as issueDate (guide note of 2022-05)
    return Identity(
        document_type=kind,
        issuing_country=reader.word(document, "country"),
        first_name=first_name,
        last_name=last_name,
        date_of_birth=reader.word(data, "dateOfBirth"),
        issuing_date=None if is_card else reader.word(data, "issueDate"),
        expiry_date=reader.word(data, "expiryDate") or (reader.word(data, "issueDate") if is_card else None),
    )


def _inner(reader: Reader, outer: Object) -> Object:
    """The extracted data of the retrieval API hold their like once more, as JSON in a text with line breaks."""
    text = outer.get("extractedData")
    if not isinstance(text, str) or not text.strip():
        return reader.object(outer, "extractedData")
    try:
        inner = {"extractedData": read_value(text, strict=False)}
        return reader.object(as_known(reader, inner, {"extractedData": EXTRACTED}), "extractedData")
    except (ValueError, RecursionError):
        reader.note("embedded_json", "extractedData")
        return {}


def _parts(reader: Reader, document: Object, pages: Object, key: str) -> Iterator[Part]:
    for image in (*reader.images(document, "images"), *reader.images(pages, "images")):
        number = _page(image)
        if number is None:
            reader.note("not_classifier", "images")
        else:
            yield Part(key, "DOCUMENT", f"{_PAGE}{number}", image.offered)
    for image in reader.images(document, "originalDocument"):
        yield Part(key, "DOCUMENT", "ORIGINAL", image.offered)


def _page(image: Image) -> int | None:
    """The callback has addresses alone; page 101 is a credit card, whose number is masked there."""
    if image.classifier is None:
        return image.number
    is_number = image.classifier.isascii() and image.classifier.isdigit() and len(image.classifier) <= _DIGITS
    return int(image.classifier) if is_number else None
