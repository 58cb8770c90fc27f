"""bytes -> our own reference of the person that a callback names, also out of one that no reader takes."""

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.callbacks.lenient import tidy
from schemas.callbacks.recognise import read_callback

_NAMES = ("userreference", "customerid")
# Possessive, and to the end where there is none: or every quote of a hostile body has all that follows read again.
_TEXT = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
# A member with its whole value, a text or a number; or any other text, in which there may be JSON.
_TOKEN = re.compile(rf'"(?:userReference|customerId)"\s*:\s*({_TEXT}|[0-9]+)|({_TEXT})', re.IGNORECASE | re.DOTALL)


def references(body: bytes) -> frozenset[str]:
    """As the readers read it; where they refuse the body, every such member that is whole."""
    try:
        found = read_callback(body).user_reference
    except UnreadableCallbackError:
        text = body.decode(json.detect_encoding(body), "replace").lstrip("\ufeff \t\r\n")
        scan = _of_json if text[:1] in ("{", "[") else _of_form
        return frozenset(tidy(each) for each in scan(text))
    return frozenset() if found is None else frozenset({found})


def _of_form(text: str) -> Iterator[str]:
    for field in text.split("&"):
        name, _, value = field.partition("=")
        plain = unquote_plus(value).strip()
        if unquote_plus(name).strip().lower() in _NAMES:
            yield plain
        elif plain[:1] in ("{", "["):
            yield from _of_json(plain)


def _of_json(text: str) -> Iterator[str]:
    for token in _TOKEN.finditer(text):
        try:
            value = str(json.loads(token[1] or token[2], strict=False))
        except ValueError:  # an escape that is none
            continue
        if token[1]:
            yield value
        elif value[:1] in ("{", "["):
            yield from _of_json(value)
