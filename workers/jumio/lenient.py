"""Jumio's JSON -> members of the type that is wanted, whatever was sent; what could not be taken is noted."""

import json
import math
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from schemas.callbacks.callback import is_id, read_time
from workers.errors import JumioAnswerError

Object = dict[str, Any]

# Longest documented value: 255; what is longer is no name or reference, and a text column is no place for it.
LONGEST_TEXT = 1000
_LONGEST_NUMBER = 64
_MOST_ODDITIES = 50
_MEMBER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Postgres text holds no NUL, and UTF-8 no half of a surrogate pair.
_UNHOLDABLE = re.compile("[\0\ud800-\udfff]")
_LOWEST, _HIGHEST, _NOT_EXECUTED = Decimal(0), Decimal(100), Decimal(-1)


def read_object(body: bytes, *, asked: str) -> Object:
    """Decode one JSON object. Raises JumioAnswerError, whose text never quotes the document."""
    try:
        document = json.loads(
            body.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        raise JumioAnswerError(asked, "is not JSON", type(error).__name__) from None
    if not isinstance(document, dict):
        raise JumioAnswerError(asked, f"is a {type(document).__name__}, not an object")
    return document


def canonical(document: Object) -> bytes:
    """Equal content, equal bytes. ASCII, so that half a surrogate pair is kept as it came."""
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    except RecursionError:
        raise JumioAnswerError("report", "is nested too deeply") from None


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

    def object(self, parent: Object, member: str) -> Object:
        """The object, or an empty one for null, [] and anything else."""
        value = parent.get(member)
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
        if isinstance(value, str) and is_id(value) and not value.endswith("\n"):  # the pattern's $ lets one through
            return value
        self.note("no_id" if value in (None, "") else "not_id", member)
        return None

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
