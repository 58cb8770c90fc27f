"""The members that Jumio's documents are known to have, at every level: others are noted, spellings are one."""

from collections.abc import Mapping
from typing import Any

from schemas.callbacks.lenient import Object, Reader

# A member -> the shape of what is in it; None where nobody looks further. ANY: names that are data themselves.
# A set: the words that are known there.
Shape = Mapping[str, "Shape | frozenset[str] | None"]
ANY = "*"


def shape(members: str, /, **inside: Shape | frozenset[str]) -> Shape:
    """Members with nothing in them that is known, and those with something."""
    return dict.fromkeys(members.split()) | inside


def words(known: str) -> frozenset[str]:
    return frozenset(known.split())


def note_word(reader: Reader, member: str, value: object, known: frozenset[str]) -> None:
    """By its member: the word itself could be a person's."""
    word = value.strip().upper().replace("-", "_") if isinstance(value, str) else ""
    if word not in {"", "N/A", *known}:
        reader.note("unknown_word", member)


def as_known(reader: Reader, document: Object, known: Shape) -> Object:
    """The document with its members spelt as Jumio documents them; upper and lower case of ASCII are one.

    What is unknown is kept and noted. Raises ValueError where two spellings of a member say two things.
    """
    spelt = {name.lower(): name for name in known}
    found: Object = {}
    for name, value in document.items():
        member = spelt.get(name.lower(), name) if name.isascii() else name
        if member not in known and ANY not in known:
            reader.note("unknown_member", name)
        below = known.get(member, known.get(ANY))
        if isinstance(below, frozenset):
            note_word(reader, member, value, below)
            below = None
        inner = _inside(reader, value, below)
        if found.setdefault(member, inner) != inner:
            raise ValueError("a member in two spellings, with two values")
    return found


def _inside(reader: Reader, value: Any, known: Shape | None) -> Any:  # noqa: ANN401 - JSON is any of its types
    """An object, or a list of them: Jumio's tables and samples have one for the other."""
    if known is None:
        return value
    if isinstance(value, dict):
        return as_known(reader, value, known)
    if isinstance(value, list):
        return [as_known(reader, entry, known) if isinstance(entry, dict) else entry for entry in value]
    return value
