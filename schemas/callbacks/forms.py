"""bytes -> form: urlencoded, as strict as it must be and as tolerant as it can be (callback guide)."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from schemas.callbacks.callback import Stage, UnreadableCallbackError, is_id
from schemas.callbacks.family import Form
from schemas.callbacks.legacy_shapes import IMAGE
from schemas.callbacks.lenient import LONGEST_STATUS, Object, Reader, canonical, read_value
from schemas.callbacks.shape import Shape, as_known, note_word

# The richest documented callback has some 70 fields; parse_qsl takes 2.6 s for a million of them.
MOST_FIELDS = 1000
# The richest documented value, a list of liveness images, stays under 16 KiB.
LONGEST_VALUE = 256 * 1024
# On the way to a result, in all of the older generations; the callback knows some, the retrieval API the others.
UNDERWAY = frozenset({"PENDING", "INITIATED", "ACQUISITION_STARTED", "ACQUIRED", "CREATED", "STARTED"})
# Fields that may come several times, each with another image, and also as name[] or name[0].
_IMAGES = frozenset({"livenessimages", "images", "idscanimage", "idscanimagebackside", "idscanimageface", "facemap"})
_ENTRY = re.compile(r"\[[0-9]{0,4}\]\Z", re.ASCII)
_ABSENT = frozenset({"", "N/A", "null"})
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Fields(dict[str, tuple[str, ...]]):
    """A form. `spelt` has the names as Jumio wrote them."""

    def __init__(self) -> None:
        super().__init__()
        self.spelt: dict[str, str] = {}


def read_form(body: bytes) -> Fields:
    """Decode a form in UTF-8; names are told apart without regard to case, and `;` separates nothing.

    Raises UnreadableCallbackError with code `shape`, `size`, `encoding`, `form` or `duplicate_keys`, never a value.
    """
    if body.count(b"&") >= MOST_FIELDS:
        raise UnreadableCallbackError("shape", f"more than {MOST_FIELDS} fields")
    fields = Fields()
    for name, value in _pairs(body):
        key = name.lower() if name.isascii() else name  # the lower case of a Kelvin sign is a k
        bare = _ENTRY.sub("", key)
        key = bare if bare in _IMAGES else key
        values = fields.get(key, ())
        fields.spelt.setdefault(key, name)
        if not values or (key in _IMAGES and value not in values):
            fields[key] = (*values, value)
        elif value not in values:
            raise UnreadableCallbackError("duplicate_keys", "a field came twice, with two values")
    return fields


def form_of(document: Object) -> Fields:
    """The same fields as members of a JSON object. Raises UnreadableCallbackError as read_form does."""
    fields = Fields()
    for name, value in document.items():
        key = name.lower() if name.isascii() else name
        several = value if key in _IMAGES and isinstance(value, list) else [value]
        try:
            texts = tuple(each if isinstance(each, str) else json.dumps(each) for each in several if each is not None)
        except RecursionError:
            raise UnreadableCallbackError("depth", "nested too deeply") from None
        if texts and fields.setdefault(key, texts) != texts:
            raise UnreadableCallbackError("duplicate_keys", "a field came twice, with two values")
        fields.spelt.setdefault(key, name)
    return fields


def as_object(
    form: Form, reader: Reader, *, fields: Sequence[str], embedded: Mapping[str, Shape | frozenset[str]]
) -> Object:
    """The known fields under their documented names, JSON inside of them parsed; the others are noted by name.

    JSON that cannot be read stays the text that it is: of no use, and not the same as absent.
    """
    known = {name.lower(): name for name in fields}
    spelt = _spelt(form)
    reader.note_unknown((spelt[name] for name in form if name not in known), (), code="unknown_field")
    return {
        known[name]: _value(reader, known[name], values, embedded.get(known[name]))
        for name, values in form.items()
        if name in known
    }


def first(form: Form, name: str) -> str:
    """The text of one field, without blanks around it; empty where there is none."""
    return next(iter(form.get(name, ())), "").strip()


def raw_form(form: Form) -> bytes:
    """What was sent, with the names spelt as they were; a field that came several times is a list."""
    spelt = _spelt(form)
    return canonical(
        {"callback": {spelt[name]: values[0] if len(values) == 1 else list(values) for name, values in form.items()}}
    )


def require_key(form: Form, name: str) -> str:
    key = first(form, name)
    if not is_id(key):
        raise UnreadableCallbackError("id", "a reference should be letters, digits and dashes, at most 64")
    return key


def require_status(status: str | None) -> str:
    if not status or len(status) > LONGEST_STATUS:
        raise UnreadableCallbackError("shape", "a status should be a short text")
    return as_underway(status) or status


def as_underway(word: str | None) -> str | None:
    """A word for "not done" in any case is that word: or it would come to a verdict, as unknown ones do."""
    return word.upper() if word and word.upper() in UNDERWAY else word


def stage_of(status: str, known: Collection[str]) -> Stage:
    """How far a status says that the transaction is; new words of Jumio's are `unknown`."""
    if status in known:
        return "final"
    return "underway" if status in UNDERWAY else "unknown"


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    for segment in body.strip(b" \t\r\n").split(b"&"):
        name, _, value = segment.partition(b"=")
        if segment:
            yield _decoded(name), _decoded(value)


def _decoded(raw: bytes) -> str:
    if _BAD_ESCAPE.search(raw):
        raise UnreadableCallbackError("form", "a % that is not followed by two hexadecimal digits")
    plain = unquote_to_bytes(raw.replace(b"+", b" "))
    if len(plain) > LONGEST_VALUE:
        raise UnreadableCallbackError("size", f"a field of more than {LONGEST_VALUE} bytes")
    try:
        text = plain.decode()
    except UnicodeDecodeError as error:
        raise UnreadableCallbackError("encoding", f"a field is not UTF-8 at its byte {error.start}") from None
    if b"{" in raw and text.lstrip()[:1] not in ("{", "["):
        raise UnreadableCallbackError("form", "a form and JSON in one body")
    return text


def _spelt(form: Form) -> dict[str, str]:
    return form.spelt if isinstance(form, Fields) else {name: name for name in form}


def _value(reader: Reader, name: str, values: Sequence[str], known: Shape | frozenset[str] | None) -> Any:  # noqa: ANN401 - any JSON
    """A text, or what the JSON in it says; a list of images comes as JSON, repeated, or both."""
    if isinstance(known, frozenset):
        note_word(reader, name, values[0], known)
        known = None
    if name.lower() not in _IMAGES:
        return _parsed(reader, name, values[0], known)
    found = [_parsed(reader, name, value, None) for value in values]
    return [entry for part in found for entry in (part if isinstance(part, list) else [part]) if part is not None]


def _parsed(reader: Reader, name: str, text: str, known: Shape | None) -> Any:  # noqa: ANN401 - any JSON
    """An image may be an address or, as Jumio Go has it, an object; so JSON is also what looks like it."""
    if text.strip() in _ABSENT:
        return None if known is not None or name.lower() in _IMAGES else text
    looks_like_it = name.lower() in _IMAGES and text.lstrip().startswith(("[", "{"))
    if known is None and not looks_like_it:
        return text
    try:
        return as_known(reader, {name: read_value(text, strict=False)}, {name: known or IMAGE})[name]
    except (ValueError, RecursionError):
        reader.note("embedded_json", name)
        return text
