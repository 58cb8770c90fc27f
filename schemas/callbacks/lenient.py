"""Jumio's JSON -> members of the type that is wanted, whatever was sent; what could not be taken is noted."""

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from schemas.callbacks.callback import is_id, read_time

Object = dict[str, Any]

# Longest documented value: 255; what is longer is no name or reference, and a text column is no place for it.
LONGEST_TEXT = 1000
CLASSIFIER = re.compile(r"[A-Z0-9_]{1,64}", re.ASCII)
# The longest known status has 29 characters.
LONGEST_STATUS = 64
_LONGEST_NUMBER = 64
_MOST_ODDITIES = 50
_MEMBER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# The last part of an address, before any query: the number of a page or of a liveness image.
_NUMBER = re.compile(r"[^?#]*/([0-9]{1,4})/?(?:[?#].*)?", re.DOTALL)
_NAME = re.compile(r"[^?#]*/([A-Za-z]{1,64})/?(?:[?#].*)?", re.DOTALL)
_MISSPELT = {"UNKOWN": "UNKNOWN", "DRIVING LICENSE": "DRIVING_LICENSE"}
# Postgres text holds no NUL, and UTF-8 no half of a surrogate pair.
_UNHOLDABLE = re.compile("[\0\ud800-\udfff]")
_LOWEST, _HIGHEST, _NOT_EXECUTED = Decimal(0), Decimal(100), Decimal(-1)


class UnreadableAnswerError(ValueError):
    """Not a document that can be read: which one, and what is wrong with it. Never quotes it."""


class ForeignAnswerError(ValueError):
    """The document is about another transaction than the one that was asked for."""


def read_object(body: bytes, *, asked: str) -> Object:
    """Decode one JSON object. Raises UnreadableAnswerError."""
    try:
        document = read_value(body.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(asked, "is not JSON", type(error).__name__) from None
    if not isinstance(document, dict):
        raise UnreadableAnswerError(asked, f"is a {type(document).__name__}, not an object")
    return document


def read_value(text: str, *, strict: bool = True) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Any JSON; not `strict`: with line breaks inside of texts. Raises ValueError or RecursionError."""
    return json.loads(
        text,
        strict=strict,
        parse_constant=_refuse_constant,
        parse_float=_finite,
        parse_int=_whole,
        object_pairs_hook=_unambiguous,
    )


def canonical(document: Object) -> bytes:
    """Equal content, equal bytes. ASCII, so that half a surrogate pair is kept as it came."""
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    except RecursionError:
        raise UnreadableAnswerError("report", "is nested too deeply") from None


@dataclass(frozen=True)
class Image:
    """One entry of a list of images. The address is never used but for what it ends in: a number, or a name."""

    classifier: str | None
    number: int | None
    offered: bool
    name: str | None = None
    in_series: bool = False


class Reader:
    """Takes members out of objects; `oddities` are codes with member names, never values."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    @property
    def oddities(self) -> tuple[str, ...]:
        return tuple(self._seen)

    def note(self, code: str, member: str) -> None:
        if len(self._seen) < _MOST_ODDITIES:
            self._seen[f"{code}:{member if _MEMBER.fullmatch(member) else '?'}"] = None

    def note_unknown(self, found: Iterable[str], known: Collection[str], *, code: str) -> None:
        for name in found:
            if name not in known:
                self.note(code, name)

    def object(self, parent: Object, member: str) -> Object:
        """The object, also one that is alone in a list; an empty one for null, [] and anything else."""
        value = parent.get(member)
        if isinstance(value, list) and len(value) == 1:
            [value] = value
        if isinstance(value, dict):
            return value
        if value not in (None, [], ""):
            self.note("not_object", member)
        return {}

    def objects(self, parent: Object, member: str) -> list[Object]:
        """A list of objects; Jumio's tables and samples have one object and a list for the same thing."""
        value = parent.get(member)
        if isinstance(value, dict):
            return [value] if value else []
        if not isinstance(value, list):
            if value not in (None, ""):
                self.note("not_list", member)
            return []
        if not all(isinstance(entry, dict) for entry in value):
            self.note("entry_not_object", member)
        return [entry for entry in value if isinstance(entry, dict)]

    def text(self, parent: Object, member: str) -> str | None:
        """A text that Postgres can hold; None where Jumio writes that there is none: null, "", N/A, <<<<."""
        value = parent.get(member)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.note("not_text", member)
            return None
        whole = str(value)
        if whole.strip() in {"", "N/A"} or not whole.strip().strip("<"):
            return None
        if len(whole) > LONGEST_TEXT:
            self.note("cut", member)
        return tidy(whole)

    def word(self, parent: Object, member: str) -> str | None:
        """A text of Jumio's own vocabulary: blanks around it say nothing."""
        found = self.text(parent, member)
        return found.strip() if found else None

    def id(self, parent: Object, member: str) -> str | None:
        """An id that may stand in a path."""
        value = parent.get(member)
        if isinstance(value, str) and is_id(value):
            return value
        self.note("no_id" if value in (None, "") else "not_id", member)
        return None

    def kind(self, parent: Object, member: str, known: Collection[str]) -> str | None:
        """A word of an enumeration, with its misspellings put right; an unknown one is kept and noted by its member."""
        found = self.word(parent, member)
        found = _MISSPELT.get(found, found) if found else None
        if found and known and found not in known:
            self.note("unknown_word", member)
        return found

    def truth(self, parent: Object, member: str) -> bool | None:
        """True, "true" and "TRUE" are one thing."""
        value = parent.get(member)
        word = str(value).strip().lower() if isinstance(value, (str, bool)) else None
        return {"true": True, "false": False}.get(word or "")

    def images(self, parent: Object, member: str) -> list[Image]:
        """A list or one alone, of addresses or of objects with a classifier that is a text or a number."""
        value = parent.get(member)
        entries = value if isinstance(value, list) else [] if value in (None, "", {}) else [value]
        found = [self._image(entry, member) for entry in entries]
        return [image for image in found if image is not None]

    def _image(self, entry: Any, member: str) -> Image | None:  # noqa: ANN401 - JSON is any of its types
        image = entry if isinstance(entry, dict) else {"href": entry}
        href, classifier = self.word(image, "href"), self.word(image, "classifier")
        if href is None and classifier is None:
            self.note("no_image", member)
            return None
        number = _NUMBER.fullmatch(href or "")
        name = _NAME.fullmatch(href or "")
        return Image(
            classifier,
            int(number[1]) if number else None,
            offered=href is not None,
            name=name[1] if name else None,
            in_series="/liveness/" in (href or ""),
        )

    def time(self, parent: Object, member: str) -> datetime | None:
        value = parent.get(member)
        if value in (None, "", "N/A"):
            return None
        moment = read_time(value)
        if moment is None:
            self.note("not_time", member)
        return moment

    def score(self, parent: Object, member: str) -> Decimal | None:
        """0.00 to 100.00, or -1 for not executed; two digits always, so that 50 and 50.0 are one score."""
        value = parent.get(member)
        if value is None or (isinstance(value, str) and value.strip() in {"", "N/A"}):
            return None
        number = None if isinstance(value, bool) else _decimal(value)
        if number is None or not (number == _NOT_EXECUTED or _LOWEST <= number <= _HIGHEST):
            self.note("not_score", member)
            return None
        return number.quantize(Decimal("0.01")) + 0  # adding 0 makes 0.00 of -0.00


def anywhere(document: object, member: str) -> Iterator[Any]:
    """Every value under a name, at any depth and in any spelling; walked without recursion."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from (value for name, value in part.items() if name.lower() == member.lower())
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def is_searching(document: object) -> bool:
    """Whether Jumio still compares the face with those of others, which may add a finding later (retrieval guide)."""
    words = [word for found in anywhere(document, "faceSearchFindings") for word in anywhere(found, "status")]
    return any(isinstance(word, str) and word.strip().upper() == "PENDING" for word in words)


def require_same(reader: Reader, document: Object, member: str, key: str) -> None:
    """Raises ForeignAnswerError where the document names another transaction."""
    shown = document.get(member)
    if shown in (None, ""):
        reader.note("no_id", member)
    elif shown != key:
        raise ForeignAnswerError(member, "is not the one that was asked for")


def require_short(status: str | None, *, asked: str) -> str:
    """Raises UnreadableAnswerError for what is no word of a vocabulary."""
    if status is None or len(status) > LONGEST_STATUS:
        raise UnreadableAnswerError(asked, "has no status, or one that is no word")
    return status


def tidy(text: str) -> str:
    """The text as a column can hold it."""
    return _UNHOLDABLE.sub("\ufffd", text[:LONGEST_TEXT])


def _decimal(value: object) -> Decimal | None:
    text = str(value).strip() if isinstance(value, (str, int, float)) else ""
    try:
        number = Decimal(text) if len(text) <= _LONGEST_NUMBER else Decimal("NaN")
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float | str:
    """A number beyond what can be held stays what it was: text."""
    number = float(text)
    return text if math.isinf(number) else number


def _whole(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # more digits than Python converts
        return text


def _unambiguous(pairs: list[tuple[str, Any]]) -> Object:
    """The same member twice is one, unless it says two things: then other readers may see the other."""
    members: Object = {}
    for name, value in pairs:
        if members.setdefault(name, value) != value:
            raise ValueError("a member twice, with two values")
    return members
