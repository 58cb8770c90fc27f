"""Named queries, read from the .sql files beside this module as bytes, so psycopg's types take them without a cast."""

import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class SealedColumn:
    """A column of ciphertexts: where its rows are, and which text of a row is in the place that each was sealed for."""

    table: str
    column: str
    key: str = "id"
    key_type: str = "uuid"
    own: str = "id::text"


# All but those of image blobs, which may be in other stores; by the beginning of the place that KeyRing.seal was given.
SEALED: dict[str, SealedColumn] = {
    "callbacks.body": SealedColumn("callbacks", "sealed_body"),
    "callbacks.head": SealedColumn("callbacks", "sealed_head"),
    "reports.sealed": SealedColumn("reports", "sealed"),
    "subscriptions.sealed_secret": SealedColumn("subscriptions", "sealed_secret"),
    "deliveries.sealed_body": SealedColumn("deliveries", "sealed_body"),
    "retired_secrets.sealed_secret": SealedColumn("retired_secrets", "sealed_secret"),
    "tokens.sealed_token": SealedColumn(
        "tokens", "sealed_token", key="tenant", key_type="text", own="tenant || '/' || token_id"
    ),
}

# What deliveries do in a way of their own.
_OWN = {("deliveries", "lease"), ("deliveries", "claim"), ("deliveries", "requeue")}
_NAME = re.compile(rb"^-- name: (\w+)\n", re.MULTILINE)


@cache
def query(table: str, name: str) -> bytes:
    """One named query of `<table>.sql`. Raises KeyError where there is none of that name."""
    sql = _named(table)[name]
    for fragment, condition in _named("fragments").items():
        sql = sql.replace(b"{%s}" % fragment.encode(), condition)
    return sql


@cache
def work_query(table: WorkTable, name: str) -> bytes:
    """One query of work.sql, or the table's own in its place, for one of the tables with work in them."""
    if (table, name) in _OWN:
        return query(table, name)
    return query("work", name).replace(b"{table}", table.encode()).replace(b"{waiting}", WAITING[table].encode())


@cache
def sealed_query(column: SealedColumn, name: str) -> bytes:
    """One query of sealed.sql for one of the columns."""
    sql = query("sealed", name)
    for field in ("table", "column", "key_type", "key", "own"):
        sql = sql.replace(b"{%s}" % field.encode(), getattr(column, field).encode())
    return sql


@cache
def _named(table: str) -> dict[str, bytes]:
    text = files("schemas.sql").joinpath(f"{table}.sql").read_bytes()
    parts = _NAME.split(text)
    return {name.decode(): body.strip().rstrip(b";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}
