"""JSON as the rule book has it: what other readers would see differently is refused, not repaired."""

import json
import math
import re
from typing import Any, NoReturn

from schemas.callbacks.callback import UnreadableCallbackError

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Decode one JSON document in UTF-8, with or without a byte order mark.

    Raises UnreadableCallbackError with code `encoding`, `json`, `depth`, `number`, `duplicate_keys` or
    `nul_character`; its text never quotes the document.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableCallbackError("encoding", f"not UTF-8 at byte {error.start}") from None
    try:
        document = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_distinct_keys
        )
    except json.JSONDecodeError as error:
        raise UnreadableCallbackError("json", f"not JSON at character {error.pos}") from None
    except RecursionError:
        raise UnreadableCallbackError("depth", "nested too deeply") from None
    except ValueError:
        raise UnreadableCallbackError("number", "a number with too many digits") from None
    if "\\u" in text:
        _refuse_unstorable(document)
    return document


def _refuse_constant(_name: str) -> NoReturn:
    raise UnreadableCallbackError("number", "NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise UnreadableCallbackError("number", "a number beyond what can be held")
    return number


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise UnreadableCallbackError("duplicate_keys", "an object has the same member twice")
    return members


def _refuse_unstorable(document: object) -> None:
    """Escapes can write what no text column can keep. Walked without recursion: depth is the sender's choice."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and "\0" in value:
            raise UnreadableCallbackError("nul_character", "a text holds U+0000")
        elif isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
            raise UnreadableCallbackError("encoding", "a text holds half a surrogate pair")
