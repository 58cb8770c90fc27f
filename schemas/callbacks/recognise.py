"""bytes -> family, by content and never by Content-Type alone (protocol.md A.1)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from schemas.callbacks import authentication, document, kyx, netverify
from schemas.callbacks.callback import Callback, UnreadableCallbackError
from schemas.callbacks.family import LegacyFamily
from schemas.callbacks.forms import Fields, read_form
from schemas.callbacks.strict_json import read_json
from schemas.report import Family
from schemas.verdict import Row


class FormFamily(LegacyFamily, Protocol):
    """One that also says what its words come to."""

    def vocabulary(self) -> Iterator[Row]:
        """Every word of its own, and what we conclude from it."""
        ...


# In the order in which they are asked; a new generation is one module, and one entry here.
FORM_FAMILIES: tuple[FormFamily, ...] = (netverify, authentication, document)
LEGACY: Mapping[Family, LegacyFamily] = {family.NAME: family for family in FORM_FAMILIES}

# Byte order marks; of UTF-32 too, which begins with the same.
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BLANK = b" \t\r\n\xef\xbb\xbf"
# A member of a member, in brackets or behind a dot.
_INNER = re.compile(r"(workflowexecution|account)(?:\[|\.)([a-z]+)\]?", re.ASCII)


def read_callback(body: bytes) -> Callback:
    """What a callback is about. Raises UnreadableCallbackError, whose code is the reason to park it for."""
    start = body.lstrip(_BLANK)
    if not start:
        raise UnreadableCallbackError("empty", "there is no body")
    if start.startswith(_UTF_16) or b"\0" in start[:4]:
        raise UnreadableCallbackError("encoding", "UTF-16 or UTF-32, where UTF-8 is the rule")
    if start[:1] in b"{[":
        return _read_kyx(start)
    form = read_form(start)
    for family in FORM_FAMILIES:
        if family.recognises(form):
            return family.read(form)
    members = _members(form)
    if kyx.recognises(members):
        return kyx.read(members)
    text = _json_of(form)
    if text is not None:
        return _read_kyx(text.encode())
    raise UnreadableCallbackError("family", "a form of no family that this version knows")


def _read_kyx(body: bytes) -> Callback:
    found = read_json(body)
    if not kyx.recognises(found):
        raise UnreadableCallbackError("family", "JSON of no family that this version knows")
    return kyx.read(found)


def _json_of(form: Fields) -> str | None:
    """In August 2021 KYX was said to come as a form, its samples JSON: then one field is, or holds, that JSON."""
    texts = [text for key, values in form.items() for text in (form.spelt[key], *values)]
    return next((text for text in texts if text.lstrip().startswith("{")), None)


def _members(form: Fields) -> dict[str, Any]:
    """As another reading of the same: a field for each member, or for each member of a member."""
    members: dict[str, Any] = {}
    for key, values in form.items():
        inner = _INNER.fullmatch(key)
        if inner:
            part = members.setdefault(inner[1], {})
            if isinstance(part, dict):
                part[inner[2]] = values[0]
        else:
            is_json = values[0].lstrip().startswith("{")
            members[form.spelt[key]] = read_json(values[0].encode()) if is_json else values[0]
    return members
