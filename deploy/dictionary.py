"""The data dictionary: what the schema compliance says of itself, as Markdown to read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from schemas.sql.queries import query

Row = dict[str, Any]

_HEAD = """# Data dictionary

What compliance teams, auditors and analysts may read: the schema `compliance`. Made from the comments in the database
by `jumio-pipeline dictionary > deploy/dictionary.md`; a test compares the two. In psql: `\\d+ compliance.workflows`,
`\\df+ compliance.*`. Ready-made questions are in `deploy/questions`.

- One workflow is named by `tenant`, `family` and `workflow_key` together; in practice the key alone finds it.
- Times are of our database, unless a comment says that they are by Jumio's clock.
- Personal data is masked. What no view has is in the sealed reports and callbacks only.
"""
# From what most questions begin with to what few need; what is not named here comes after, by name.
_ORDER = (
    *("workflows", "verdicts", "evidence", "checks", "steps", "identities", "images"),
    *("callbacks", "events", "deliveries"),
)
# Postgres's long names say nothing more.
_SHORT = {"timestamp with time zone": "timestamptz"}


def read_dictionary(conn: Connection) -> str:
    """The whole file; ends with a line feed."""
    views = sorted(_rows(conn, "interface_views"), key=lambda view: _place(view["name"]))
    columns, functions = _rows(conn, "interface_columns"), _rows(conn, "interface_functions")
    readers = {row["name"]: row["roles"] for row in _rows(conn, "interface_grants")}
    lines = [
        *(_HEAD.rstrip("\n"), "", "## Views and functions", "", "| name | what it is |", "|---|---|"),
        *(f"| [{row['name']}](#{row['name']}) | {_first_sentence(row['comment'])} |" for row in views),
        *(f"| [{row['name']}()](#{row['name']}) | {_first_sentence(row['comment'])} |" for row in functions),
    ]
    for view in views:
        own = [column for column in columns if column["view"] == view["name"]]
        lines += ["", *_view(view, own, readers)]
    for function in functions:
        lines += ["", *_function(function, readers)]
    return "\n".join(lines) + "\n"


def _view(view: Row, columns: Sequence[Row], readers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from (f"## {view['name']}", "", _text(view["comment"]), "", _readers(view, readers, "Read by"), "")
    yield from ("| column | type | what it says |", "|---|---|---|")
    for column in columns:
        yield f"| `{column['name']}` | {_short(column['type'])} | {_text(column['comment'])} |"


def _function(function: Row, readers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from (f"## {function['name']}()", "", _text(function["comment"]), "")
    yield from (_readers(function, readers, "Called by"), "", "```")
    yield f"compliance.{function['name']}({_short(function['arguments'])})"
    result = re.sub(r"^TABLE\((.*)\)$", r"\1", _short(function["result"]))
    yield from ("returns " + result, "```")


def _readers(row: Row, readers: Mapping[str, Sequence[str]], verb: str) -> str:
    names = readers.get(row["name"], ())
    return f"{verb}: {', '.join(f'`{name}`' for name in names) or 'its owner only'}."


def _place(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _first_sentence(comment: str) -> str:
    """Up to the colon or full stop that ends it."""
    return _text(re.split(r"(?<=[a-z)])[.:](?:\s|$)", comment)[0])


def _text(comment: str) -> str:
    """Bars would be borders of the table, and stars emphasis."""
    return comment.replace("|", "\\|").replace("*", "\\*")


def _short(types: str) -> str:
    for long, short in _SHORT.items():
        types = types.replace(long, short)
    return types


def _rows(conn: Connection, name: str) -> list[Row]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query("catalog", name)).fetchall()
