"""Invented workflows: consistent, all there, found at once, and answers to every question; the schema as it was."""

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.errors import RaiseException
from psycopg.rows import dict_row

from deploy.embedded.services import ServiceUrls
from deploy.generate import generate
from deploy.measure_compliance import LOOKUPS, ask, lookup_timings, question_timings, questions, verify_timing
from deploy.migrate import migrate
from schemas.sql.queries import query

# Enough for what happens to one in a thousand.
WORKFLOWS = 3000
SCHEMA = """
    SELECT conname::text AS name, pg_get_constraintdef(oid) AS made FROM pg_constraint
    WHERE connamespace = 'pipeline'::regnamespace
    UNION ALL SELECT tgname::text, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'pipeline'::regnamespace
    ORDER BY 1, 2"""

# Of these there is a row for what people do once in a while.
FEW = ("holds", "erasures")
# Each counts what there must be none of.
MISSING = (
    """SELECT count(*) FROM compliance.workflows w WHERE verdict_version > 0 AND NOT EXISTS (
        SELECT FROM compliance.verdicts v WHERE v.workflow_key = w.workflow_key AND v.version = w.verdict_version
            AND v.outcome = w.outcome AND v.recorded_at = w.decided_at)""",
    """SELECT count(*) FROM pipeline.workflows w WHERE last_sequence <> (
        SELECT count(*) FROM compliance.events e WHERE e.workflow_key = w.workflow_key)""",
    "SELECT count(*) FROM compliance.workflows w WHERE outcome = 'passed' AND images_wanted < 2",
    """SELECT count(*) FROM pipeline.audit a WHERE happened_at > now() OR NOT EXISTS (
        SELECT FROM pipeline.audit_links l WHERE l.number = a.number)""",
    """SELECT count(*) FROM compliance.evidence
        WHERE source_rule <> 'dns' OR outcome <> 'expired' AND (checks = '[]' OR report_bytes IS NULL)""",
)


@pytest.fixture(scope="module")
def url(services: ServiceUrls) -> Iterator[str]:
    """A database of its own, filled."""
    name = f"generated_{uuid4().hex[:12]}"
    with psycopg.connect(services.database_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
        filled = make_conninfo(services.database_url, dbname=name)
        try:
            with psycopg.connect(filled, autocommit=True) as own:
                migrate(own)
                before = own.execute(SCHEMA.encode()).fetchall()
                assert len(list(generate(own, WORKFLOWS))) > 5
                assert own.execute(SCHEMA.encode()).fetchall() == before
            yield filled
        finally:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def filled(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


def test_every_workflow_has_what_belongs_to_it(filled: Connection) -> None:
    assert one(filled, "SELECT count(*) FROM compliance.workflows") == WORKFLOWS
    for missing in MISSING:
        assert one(filled, missing) == 0
    outcomes = dict(filled.execute("SELECT outcome, count(*) FROM compliance.workflows GROUP BY outcome").fetchall())
    assert 0.7 < outcomes["passed"] / WORKFLOWS < 0.8
    assert {"rejected", "warning", "expired", "not_executed", "pending"} < set(outcomes)
    assert one(filled, "SELECT count(*) FROM compliance.verdicts WHERE version = 2") > WORKFLOWS / 100


def test_what_is_invented_is_not_mixed_with_what_is_there(filled: Connection) -> None:
    with pytest.raises(RaiseException, match="there are callbacks already"):
        list(generate(filled, 100))

    assert one(filled, "SELECT count(*) FROM compliance.workflows") == WORKFLOWS


@pytest.mark.parametrize("path", questions(), ids=lambda path: path.stem)
def test_an_analyst_gets_an_answer_to_every_question(url: str, path: Path) -> None:
    done = ask(url, path, "--set=days=365", "--tuples-only")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_lookup_finds_something_and_reads_no_table_from_end_to_end(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        samples = conn.execute(query("lookups", "samples"), {"count": 5}).fetchall()
        found = [conn.execute(query("lookups", name), sample).fetchall() for sample in samples]
        conn.execute("SET enable_seqscan = off")
        plan = conn.execute(b"EXPLAIN " + query("lookups", name), samples[0]).fetchall()

    assert any(found)
    assert not re.search(rf"Seq Scan on (?!{'|'.join(FEW)})", str(plan))


def test_the_measure_times_lookups_and_questions(url: str) -> None:
    timings = [*lookup_timings(url, 3), *question_timings(url, questions()[:1]), verify_timing(url)]

    assert [timing.name for timing in timings] == [*LOOKUPS, questions()[0].name, "audit verify"]
    assert all(0 < timing.median <= timing.p95 <= timing.slowest for timing in timings)


def one(conn: Connection, sql: str) -> int:
    [(found,)] = conn.execute(sql.encode()).fetchall()
    return int(found)
