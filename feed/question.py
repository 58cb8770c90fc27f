"""The parameters of a request -> what is asked for, or what is wrong with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from starlette.datastructures import QueryParams

from feed.cursor import Cursor, CursorError
from feed.problems import CURSOR_UNREADABLE, RefusedError, parameter
from schemas.events.asyncapi import LONGEST_WAIT_SECONDS, MOST_EVENTS, USUAL_EVENTS
from schemas.events.envelope import EventType

_NAMES = ("after", "types", "limit", "wait")
_TYPES: tuple[str, ...] = get_args(EventType)


@dataclass(frozen=True)
class Question:
    """After where, of which types (None: all), how many, and how long to wait for the first."""

    after: Cursor | None
    types: Sequence[str] | None
    limit: int
    wait: float

    @classmethod
    def read(cls, given: QueryParams) -> "Question":
        """Raises RefusedError; an empty parameter is one that was not sent."""
        if unknown := sorted(set(given) - set(_NAMES)):
            names = f"There are {', '.join(_NAMES)}; {len(unknown)} that were sent are none of these."
            raise RefusedError(parameter("parameter_unknown", names))
        if len(given.multi_items()) != len(given):
            raise RefusedError(
                parameter("parameter_repeated", "Send each parameter once; types go with commas between.")
            )
        return cls(
            after=_cursor(given.get("after", "")),
            types=_types(given.get("types", "")),
            limit=int(_number(given.get("limit", ""), "limit", usual=USUAL_EVENTS, least=1, most=MOST_EVENTS)),
            wait=_number(given.get("wait", ""), "wait", usual=0, least=0, most=LONGEST_WAIT_SECONDS),
        )


def _cursor(text: str) -> Cursor | None:
    try:
        return Cursor.read(text) if text else None
    except CursorError:
        raise RefusedError(CURSOR_UNREADABLE) from None


def _types(text: str) -> Sequence[str] | None:
    types = [part.strip() for part in text.split(",") if part.strip()]
    if set(types) - set(_TYPES):
        raise RefusedError(parameter("type_unknown", f"There are: {', '.join(_TYPES)}."))
    return types or None


def _number(text: str, name: str, *, usual: float, least: float, most: float) -> float:
    if not text:
        return usual
    try:
        value = float(text) if name == "wait" else int(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise RefusedError(parameter(f"{name}_out_of_bounds", f"`{name}` is a number from {least} to {most}."))
    return value
