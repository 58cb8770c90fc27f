"""An analyst with psql and bad intentions: whatever is tried, nothing that was planted about a person comes back."""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection
from psycopg.errors import Diagnostic

from tests.deploy.test_audited_reads import WHY, keep

FIRST, LAST, BORN, NUMBER = "Canarina", "Plantedova", "1987-06-05", "PLANTED700142"
ATTEMPTS = re.findall(
    r"^-- (\w{5}|none(?:\|\w{5})?)\n(.+?)(?=\n\n|\Z)",
    Path(__file__).with_name("attempts.sql").read_text(),
    re.MULTILINE | re.DOTALL,
)
# Errors that quote the value that did not fit.
TYPES = (
    "integer",
    "date",
    "regclass",
    "regtype",
    "json",
    "inet",
    "uuid",
    "boolean",
    "point",
    "timestamptz",
    "numeric[]",
)


@pytest.fixture
def analyst(conn: Connection, login: Callable[[str], str]) -> Iterator[Connection]:
    """Beside a person in the tables, in the planner's statistics, and in what somebody else asks right now."""
    for _ in range(10):
        keep(conn, FIRST, LAST, BORN, NUMBER)
    conn.execute(b"CREATE STATISTICS pipeline.planted ON first_name, document_number FROM pipeline.identities")
    conn.execute(b"ANALYZE pipeline.identities")
    telling = f"a reason that names {FIRST} {LAST}"
    conn.execute(
        b"INSERT INTO pipeline.holds (id, tenant, kind, subject, reason)"
        b" VALUES (gen_random_uuid(), 'default', 'account', 'a', %s)",
        [telling],
    )
    conn.execute(
        b"INSERT INTO pipeline.erasures (id, tenant, scope, reason, rows)"
        b" VALUES (gen_random_uuid(), 'default', 'account', %s, '{}')",
        [telling],
    )
    # As a notebook's, or as `public` is for everybody on Postgres 14.
    conn.execute(b"CREATE SCHEMA scratch; GRANT USAGE, CREATE ON SCHEMA scratch TO compliance_analyst")
    asked = b"SELECT * FROM compliance.find_person(%s, %s)"
    with (
        psycopg.connect(login("compliance_investigator")) as investigator,
        psycopg.ClientCursor(investigator) as cursor,
        psycopg.connect(login("compliance_analyst"), autocommit=True) as connection,
    ):
        cursor.execute(asked, [WHY, f"{FIRST} {LAST}"])
        yield connection
    conn.execute(b"DROP STATISTICS pipeline.planted; DROP SCHEMA scratch")


def test_no_attempt_shows_anything_of_anyone(analyst: Connection) -> None:
    wrong = []
    for expected, statement in ATTEMPTS:
        seen, sqlstate = attempt(analyst, statement)
        if planted_in(seen) or (sqlstate or "none") not in expected.split("|"):
            wrong.append((statement, sqlstate, seen))

    assert wrong == []
    assert len(ATTEMPTS) > 115


def test_an_auditor_reads_reasons_and_not_whom_a_hold_is_about(conn: Connection, analyst: Connection) -> None:
    def read(reader: Connection) -> list[tuple[bool, bool]]:
        shown = b"SELECT reason IS NOT NULL, subject IS NOT NULL FROM compliance.holds"
        return reader.execute(shown + b" UNION ALL SELECT reason IS NOT NULL, NULL FROM compliance.erasures").fetchall()

    assert read(analyst) == [(False, True), (False, None)]
    with conn.transaction(force_rollback=True):
        conn.execute(b"SET LOCAL ROLE compliance_auditor")
        assert read(conn) == [(True, False), (True, None)]


def test_no_relation_of_the_database_shows_anything_of_anyone(analyst: Connection) -> None:
    relations = analyst.execute(
        b"SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY 1"
    ).fetchall()

    readable = 0
    for (name,) in relations:
        seen, sqlstate = attempt(analyst, f"SELECT * FROM {name}")
        assert planted_in(seen) == [], name
        readable += sqlstate is None

    assert readable > 100


def test_no_cast_of_a_masked_column_quotes_it(analyst: Connection) -> None:
    refused = 0
    for column in ("first_name", "last_name", "document_number", "date_of_birth", "expiry_date"):
        for name in TYPES:
            seen, sqlstate = attempt(analyst, f"SELECT {column}::{name}::text FROM compliance.identities")
            assert planted_in(seen) == [], (column, name)
            refused += sqlstate is not None
    assert refused > len(TYPES)


def test_an_attempt_that_got_through_would_be_seen(conn: Connection) -> None:
    keep(conn, FIRST, LAST, BORN, NUMBER)
    [leaky] = [text for _, text in ATTEMPTS if "leaked %'" in text and "HAVING" in text]
    for statement in (
        *(leaky.replace("compliance.identities", "pipeline.identities"), "COPY pipeline.identities TO STDOUT"),
        *("SELECT first_name::integer FROM pipeline.identities", "TABLE pipeline.identities"),
    ):
        assert planted_in(attempt(conn, statement)[0]), statement


UNBOUND = b"""
    SELECT p.oid::regprocedure::text FROM pg_proc p
    WHERE pronamespace::regnamespace::text IN ('pipeline', 'compliance') AND prorettype <> 'trigger'::regtype
        AND prosqlbody IS NULL AND NOT coalesce(array_to_string(proconfig, ',') LIKE '%search_path=%', false)
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"""


def test_no_function_means_what_the_search_path_of_its_caller_makes_of_it(conn: Connection) -> None:
    assert conn.execute(UNBOUND).fetchall() == []


def test_a_plan_is_the_same_for_a_right_and_a_wrong_guess(analyst: Connection) -> None:
    def plan(guess: str) -> str:
        statement = (
            f"EXPLAIN SELECT * FROM compliance.identities WHERE first_name = '{guess}' AND last_name > '{guess}'"
        )
        return attempt(analyst, statement)[0].replace(guess, "?")

    assert plan(FIRST) == plan("Wrongina")
    assert "rows=" in plan(FIRST)


def test_a_mask_keeps_whether_there_is_something_and_the_year_of_a_date(conn: Connection) -> None:
    shown = conn.execute(
        b"SELECT pipeline.masked(text), pipeline.masked_date(text) FROM unnest(%s::text[]) AS text",
        [["\u738b", "A", "", None, "1987-06-05", "19870605", "05.06.1987", "0001-01-01", "1987-06-05 X1234567"]],
    ).fetchall()

    assert shown == [
        *(("***", "***"), ("***", "***"), ("", ""), (None, None), ("***", "1987-**-**")),
        *([("***", "***")] * 4),
    ]


def attempt(conn: Connection, statement: str) -> tuple[str, str | None]:
    """All that comes back, in rows, notices and errors, and the SQLSTATE where it failed."""
    seen: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        seen.append(everything(diagnostic))

    conn.add_notice_handler(note)
    sqlstate = None
    try:
        with conn.transaction(force_rollback=True), conn.cursor() as cursor:
            if statement.startswith("COPY") and statement.endswith("STDOUT"):
                with cursor.copy(statement.encode()) as copy:
                    seen += [bytes(block).decode() for block in copy]
            else:
                cursor.execute(statement.encode())
                seen += [str(result.fetchall()) for result in cursor.results() if result.description]
    except psycopg.Error as error:
        sqlstate = error.sqlstate
        seen.append(everything(error.diag))
    finally:
        conn.remove_notice_handler(note)
    return "\n".join(seen), sqlstate


def everything(diagnostic: Diagnostic) -> str:
    return " ".join(str(getattr(diagnostic, name)) for name in dir(diagnostic) if not name.startswith("_"))


def planted_in(text: str) -> list[str]:
    """In any spelling."""
    found = []
    for word in (FIRST, LAST, BORN, NUMBER, NUMBER[7:]):
        spelled = (word, word[::-1], word.encode().hex(), base64.b64encode(word.encode()).decode().rstrip("="))
        found += [word for spelling in spelled if spelling.lower() in text.lower()]
    return found
