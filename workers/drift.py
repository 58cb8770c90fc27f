"""What Jumio sent that this release does not know: counted by kind, with an example whose values are masked."""

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from urllib.parse import parse_qsl

import psycopg
import structlog
from psycopg import Connection

from workers import store

log = structlog.get_logger()

# As many as a reading notes of itself.
MOST_KINDS = 50
LONGEST_KIND = 200
# What fits on a screen still shows a shape; a whole report would not.
_MOST_PARTS = 40
_DEEPEST = 5
_LONGEST_LIST = 3
# A place is looked for in reports of a few thousand members; a document made to be slow is not searched to its end.
_MOST_SEARCHED = 20_000
# A count of more digits could itself be taken from a value.
_HIGHEST_COUNT = 999
_MEMBER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_KIND = re.compile(r"[^A-Za-z0-9_.:?-]", re.ASCII)
# A form as Jumio's older generations post it. Anything less regular could be a value that only looks like a name.
_FORM = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}=[^&]*(?:&[A-Za-z][A-Za-z0-9_]{0,63}=[^&]*)*", re.ASCII)
# Of a callback that cannot be read, what follows is the reason and no member of it.
_UNREADABLE = "unreadable:"


def note_drift(conn: Connection, tenant: str, family: str, oddities: Sequence[str], *, example: object) -> None:
    """Count every kind once, with the place it names in the example: a document, or the bytes of one.

    Not being able to count is no reason to give up the reading that showed it: then it is logged, and only a
    connection that is no use to the caller either is an error. Commits of its own, so call it outside a transaction.
    """
    kinds = list(dict.fromkeys(_KIND.sub("?", kind)[:LONGEST_KIND] for kind in islice(oddities, MOST_KINDS)))
    if not kinds:
        return
    document = _read(example) if isinstance(example, bytes) else example
    places = _find(document, {_named(kind) for kind in kinds} - {""})
    examples = [mask(places.get(_named(kind), document)) for kind in kinds]
    try:
        with conn.transaction():
            store.rows(conn, "drift", "wait_briefly")
            store.change(
                conn, "drift", "note_drift", {"tenant": tenant, "family": family, "what": kinds, "examples": examples}
            )
    except psycopg.Error as error:
        if conn.closed:
            raise
        log.warning("drift.unnoted", tenant=tenant, family=family, kinds=len(kinds), sqlstate=error.sqlstate)


def mask(value: object) -> str:
    """The shape of a JSON value as JSON: names of members, and of each value its type and how long it is.

    No part of a value survives, nor a name that is not like a member's; depth and size are capped.
    """
    return json.dumps(_shape(value, iter(range(_MOST_PARTS)), depth=0))


def _shape(value: object, left: Iterator[int], *, depth: int) -> object:
    if isinstance(value, dict):
        return _shape_of_members(value, left, depth=depth + 1) if depth < _DEEPEST else f"object of {_count(value)}"
    if isinstance(value, list | tuple):
        return _shape_of_list(value, left, depth=depth + 1) if depth < _DEEPEST else f"list of {_count(value)}"
    if isinstance(value, str | bytes):
        return f"{'text' if isinstance(value, str) else 'bytes'} of {_count(value)}"
    if isinstance(value, bool):
        return "true or false"
    return None if value is None else "number" if isinstance(value, int | float) else "something else"


def _shape_of_members(value: dict[object, object], left: Iterator[int], *, depth: int) -> dict[str, object]:
    shape: dict[str, object] = {}
    # The members first: an object that is wide is worth seeing to its end before one of them is seen in depth.
    shown = [member for member, _ in zip(value.items(), left, strict=False)]
    for name, part in shown:
        shape[_name(name)] = _shape(part, left, depth=depth)
    return shape | _and_more(len(value) - len(shown))


def _shape_of_list(value: Sequence[object], left: Iterator[int], *, depth: int) -> list[object]:
    shown = [part for part, _ in zip(value[:_LONGEST_LIST], left, strict=False)]
    shape = [_shape(part, left, depth=depth) for part in shown]
    more = _and_more(len(value) - len(shown))
    return [*shape, *more.values()]


def _and_more(count: int) -> dict[str, str]:
    return {"...": f"{_count(range(count))} more"} if count else {}


def _name(name: object) -> str:
    return name if isinstance(name, str) and _MEMBER.fullmatch(name) else f"name of {_count(str(name))}"


def _count(value: Sequence[object] | dict[object, object]) -> str:
    return str(len(value)) if len(value) <= _HIGHEST_COUNT else f"over {_HIGHEST_COUNT}"


def _named(kind: str) -> str:
    return "" if kind.startswith(_UNREADABLE) else kind.rpartition(":")[2]


def _find(document: object, names: set[str]) -> dict[str, object]:
    """By name, where it is in the document: the member of that name, else the object that says it as a word.

    What lies higher is found first.
    """
    members: dict[str, object] = {}
    words: dict[str, object] = {}
    for part in islice(_breadth_first(document), _MOST_SEARCHED):
        members = {name: {name: part[name]} for name in names & part.keys()} | members
        said = {each for each in part.values() if isinstance(each, str)}
        words = dict.fromkeys(names & said, part) | words
        if len(members) == len(names):
            break
    return words | members


def _breadth_first(document: object) -> Iterator[dict[str, object]]:
    waiting: deque[object] = deque([document])
    while waiting:
        part = waiting.popleft()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _read(example: bytes) -> object:
    """JSON, or a form; otherwise what it is: bytes, of which the mask shows how many."""
    try:
        return json.loads(example)
    except (ValueError, RecursionError):
        text = example.decode("ascii", "replace")
    return dict(parse_qsl(text, keep_blank_values=True)) if _FORM.fullmatch(text) else example
