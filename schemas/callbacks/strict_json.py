"""JSON as the rule book has it: what other readers would see differently is refused, not repaired."""

import json
import math
from typing import Any, NoReturn

from schemas.callbacks.callback import UnreadableCallbackError


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
    if "\\u0000" in text and _holds_nul(document):
        raise UnreadableCallbackError("nul_character", "a text holds U+0000, which no text column can keep")
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


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_holds_nul(part) for part in value)
