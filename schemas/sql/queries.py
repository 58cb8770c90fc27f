"""Named queries, read from the .sql files beside this module as bytes, so psycopg's types take them without a cast."""

import re
from functools import cache
from importlib.resources import files
from typing import Literal

WorkTable = Literal["callbacks", "images", "deliveries", "deletions"]

# The state in which a row of each table waits for a worker.
WAITING: dict[WorkTable, str] = {
    "callbacks": "stored",
    "images": "wanted",
    "deliveries": "pending",
    "deletions": "wanted",
}

_NAME = re.compile(rb"^-- name: (\w+)\n", re.MULTILINE)


@cache
def query(table: str, name: str) -> bytes:
    """One named query of `<table>.sql`. Raises KeyError where there is none of that name."""
    return _named(table)[name]


@cache
def work_query(table: WorkTable, name: str) -> bytes:
    """One query of work.sql for one of the tables with work in them."""
    in_order = query("deliveries", "in_order") if table == "deliveries" else b"true"
    return (
        query("work", name)
        .replace(b"{table}", table.encode())
        .replace(b"{waiting}", WAITING[table].encode())
        .replace(b"{in_order}", in_order)
    )


@cache
def _named(table: str) -> dict[str, bytes]:
    text = files("schemas.sql").joinpath(f"{table}.sql").read_bytes()
    parts = _NAME.split(text)
    return {name.decode(): body.strip().rstrip(b";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}
