"""Images as Jumio lists them -> the parts of a report, each with a classifier that its address can be made from."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from schemas.callbacks.lenient import Image, Object, Reader
from schemas.report import Part

_LIVENESS = "LIVENESS"


def shown_classifier(image: Image) -> str:
    """Jumio's own, else what the address ends in; one of a series, wherever it is listed, has its number in it."""
    own = (image.classifier or image.name or "").upper()
    in_series = image.in_series or own == _LIVENESS
    return f"{_LIVENESS}_{image.number}" if in_series and image.number is not None else own


def numbered_parts(reader: Reader, document: Object, member: str, template: Part) -> list[Part]:
    """Numbered as their addresses are, which come in any order; an address without a number gets one that is free."""
    found = reader.images(document, member)
    numbers = {image.number for image in found}
    if None in numbers:
        reader.note("no_number", member)
    free = (number for number in count(1) if number not in numbers)
    return [
        replace(
            template,
            classifier=f"{template.classifier}{next(free) if image.number is None else image.number}",
            offered=image.offered,
        )
        for image in found
    ]


def distinct_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    """One of a kind, offered if any of them was; in one order, however they came."""
    found = {part.classifier: part for part in sorted(parts, key=lambda part: part.offered)}
    return tuple(sorted(found.values(), key=lambda part: part.classifier))
