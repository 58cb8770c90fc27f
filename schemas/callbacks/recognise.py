"""bytes -> family, by content and never by Content-Type alone (callback guide)."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from schemas.callbacks import families, kyx
from schemas.callbacks.callback import Callback, UnreadableCallbackError
from schemas.callbacks.family import LegacyFamily
from schemas.callbacks.forms import Fields, first, form_of, read_form
from schemas.callbacks.strict_json import read_json
from schemas.report import Family
from schemas.verdict import Row


class FormFamily(LegacyFamily, Protocol):
    """One that also says what its words come to."""

    def vocabulary(self) -> Iterator[Row]:
        """Every word of its own, and what we conclude from it."""
        ...


def _form_families() -> tuple[FormFamily, ...]:
    """A module each. No form is of two of them, so that their order says nothing."""
    names = [f"{families.__name__}.{each.name}" for each in iter_modules(families.__path__)]
    return tuple(cast("FormFamily", import_module(name)) for name in names)


FORM_FAMILIES = _form_families()
LEGACY: Mapping[Family, LegacyFamily] = {family.NAME: family for family in FORM_FAMILIES}

# Byte order marks; of UTF-32 too, which begins with the same.
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BLANK = b" \t\r\n\xef\xbb\xbf"
_KIND = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
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
        return _read_json(start)
    form = read_form(start)
    if callback := _read_fields(form):
        return callback
    members = _members(form)
    if kyx.recognises(members):
        return kyx.read(members)
    text = _json_of(form)
    if text is not None:
        return _read_json(text.encode())
    raise UnreadableCallbackError("family", "a form of no family that this version knows", *_kind(form))


def _read_json(body: bytes) -> Callback:
    """The present generation; or an older one whose form came as JSON, as it was the other way round in 2021."""
    found = read_json(body)
    if kyx.recognises(found):
        return kyx.read(found)
    form = form_of(found) if isinstance(found, dict) else Fields()
    if callback := _read_fields(form):
        return callback
    raise UnreadableCallbackError("family", "JSON of no family that this version knows", *_kind(form))


def _read_fields(form: Fields) -> Callback | None:
    return next((family.read(form) for family in FORM_FAMILIES if family.recognises(form)), None)


def _kind(form: Fields) -> list[str]:
    """What Jumio calls the family, if that is like a word of Jumio's."""
    kind = first(form, "callbacktype")
    return [kind] if _KIND.fullmatch(kind) else []


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
