"""Named queries: each is found by its name, fits the schema as it stands, and is used."""

import re
from pathlib import Path
from typing import get_args

import pytest
from psycopg import Connection

from schemas.sql.queries import SEALED, WAITING, WorkTable, query, sealed_query, work_query

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "schemas/sql"
NAMED = [
    (path.stem, name)
    for path in sorted(FOLDER.glob("*.sql"))
    if path.stem != "fragments"
    for name in re.findall(r"^-- name: (\w+)$", path.read_text(), re.MULTILINE)
]
SHARED = [(table, name) for table in WAITING for file, name in NAMED if file == "work"]
FOR_EACH_COLUMN = [(place, name) for place in SEALED for file, name in NAMED if file == "sealed"]
# Postgres prepares no VACUUM and no LOCK; tests of their own run them.
LOCKS = {("erasures", "keep_holds_still"), ("holds", "lock_holds")}
OWN = [pair for pair in NAMED if pair[0] not in {"work", "sealed", "scrub"} and pair not in LOCKS]


def test_no_file_names_two_queries_alike() -> None:
    assert sorted(NAMED) == sorted(set(NAMED))


@pytest.mark.parametrize(("table", "name"), OWN)
def test_a_query_fits_the_schema(conn: Connection, table: str, name: str) -> None:
    conn.execute(prepared(query(table, name)))


@pytest.mark.parametrize(("table", "name"), SHARED)
def test_a_shared_query_fits_every_table_with_work_in_it(conn: Connection, table: WorkTable, name: str) -> None:
    conn.execute(prepared(work_query(table, name)))


@pytest.mark.parametrize(("place", "name"), FOR_EACH_COLUMN)
def test_a_query_of_sealed_columns_fits_each(conn: Connection, place: str, name: str) -> None:
    conn.execute(prepared(sealed_query(SEALED[place], name)))


def test_every_sealed_column_is_sealed_anew_with_the_others(conn: Connection) -> None:
    columns = conn.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'pipeline' AND data_type = 'bytea' AND column_name LIKE '%sealed%'"
    ).fetchall()

    known = {(column.table, column.column) for column in SEALED.values()}
    assert set(columns) == known | {("image_blobs", "sealed")}


def prepared(sql: bytes) -> bytes:
    """The statement as Postgres plans it, with its parameters numbered in order of appearance."""
    names = list(dict.fromkeys(re.findall(rb"%\((\w+)\)[sb]", sql)))
    for number, name in enumerate(names, 1):
        sql = re.sub(rb"%%\(%s\)[sb]" % name, b"$%d" % number, sql)
    return b"PREPARE one AS " + sql.replace(b"%%", b"%")


@pytest.mark.parametrize(("table", "name"), NAMED)
def test_a_query_is_one_statement_with_nothing_left_to_fill_in(table: str, name: str) -> None:
    sql = query(table, name)
    if table == "work":
        sql = work_query("images", name)
    elif table == "sealed":
        sql = sealed_query(SEALED["tokens.sealed_token"], name)

    text = re.sub(rb"--.*|'[^']*'", b"", sql)
    assert b";" not in text
    assert b"{" not in text


@pytest.mark.parametrize(("table", "name"), NAMED)
def test_a_query_is_used(table: str, name: str) -> None:
    sources = [
        path.read_text() for package in ("receiver", "workers", "feed", "schemas", "deploy") for path in python(package)
    ]

    shared = table in {"work", "sealed"}
    assert any(f'"{name}"' in source and (f'"{table}"' in source or shared) for source in sources)


def python(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_a_query_of_no_such_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        query("callbacks", "no_such_query")
    with pytest.raises(KeyError):
        work_query("callbacks", "no_such_query")


def test_only_deliveries_wait_for_the_ones_before() -> None:
    assert b"earlier.sequence < work.sequence" in work_query("deliveries", "lease")
    assert b"earlier" not in work_query("callbacks", "lease")
    assert b"earlier" not in work_query("images", "lease")


def test_every_table_with_work_has_the_shared_columns_and_its_waiting_state(conn: Connection) -> None:
    shared = {"state", "attempts", "next_attempt_at", "leased_until", "claimed_until", "last_error", "finished_at"}
    assert set(WAITING) == set(get_args(WorkTable))
    for table, state in WAITING.items():
        columns = conn.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'pipeline' AND table_name = %s",
            [table],
        ).fetchall()
        [(allowed,)] = conn.execute(
            "SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint WHERE conrelid = %s::regclass",
            [f"pipeline.{table}"],
        ).fetchall()

        assert shared <= {name for (name,) in columns}
        assert f"'{state}'" in allowed


@pytest.mark.parametrize("table", WAITING)
def test_the_lease_is_read_from_its_index(conn: Connection, table: WorkTable) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL enable_seqscan = off")
        explain = b"EXPLAIN (COSTS OFF) " + work_query(table, "lease")
        plan = "\n".join(row[0] for row in conn.execute(explain, {"lease": 30, "batch": 100}))

    assert f"{table}_due" in plan
