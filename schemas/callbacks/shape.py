"""The members that Jumio's documents are known to have, at every level: others are noted, spellings are one."""

from collections.abc import Mapping
from typing import Any

from schemas.callbacks.lenient import Object, Reader

# A member -> the shape of what is in it; None where nobody looks further. ANY: names that are data themselves.
Shape = Mapping[str, "Shape | None"]
ANY = "*"


def shape(members: str, /, **inside: Shape) -> Shape:
    """Members with nothing in them that is known, and those with something."""
    return dict.fromkeys(members.split()) | inside


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
        inner = _inside(reader, value, known.get(member, known.get(ANY)))
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
