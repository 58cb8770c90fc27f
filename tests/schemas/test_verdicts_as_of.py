"""compliance.verdicts_as_of: what was true at a moment, by what was known at another."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection

from workers.store import append_audit

KEY = "7d1f7b0e-7b3a-4a7d-9d50-000000000001"
# (version, outcome, valid from day, recorded on day) of March.
Told = tuple[int, str, int, int]


def test_a_verdict_is_true_before_we_know_of_it(conn: Connection) -> None:
    tell(conn, (1, "passed", 2, 5))

    assert as_of(conn, 3, known=4) == []
    assert as_of(conn, 3) == ["passed"]
    assert as_of(conn, 1) == []


def test_a_revision_is_true_from_when_we_learned_of_it(conn: Connection) -> None:
    tell(conn, (1, "passed", 2, 2), (2, "rejected", 10, 10))

    assert as_of(conn, 9) == ["passed"]
    assert as_of(conn, 10) == ["rejected"]
    assert as_of(conn, 20, known=9) == ["passed"]


def test_a_late_correction_changes_what_was_true_and_not_what_was_known(conn: Connection) -> None:
    """On the 20th it turns out that since the 8th it had been fraud."""
    tell(conn, (1, "passed", 2, 2), (2, "rejected", 8, 20))

    assert as_of(conn, 9, known=9) == ["passed"]
    assert as_of(conn, 9, known=19) == ["passed"]
    assert as_of(conn, 9, known=20) == ["rejected"]
    assert as_of(conn, 7, known=20) == ["passed"]


def test_the_last_word_counts_from_its_beginning_on_whatever_was_said_of_that_time_before(conn: Connection) -> None:
    """A correction that reaches back behind two earlier versions leaves neither of them standing after it."""
    tell(conn, (1, "warning", 4, 4), (2, "passed", 10, 10), (3, "rejected", 3, 15))

    assert as_of(conn, 12, known=14) == ["passed"]
    assert as_of(conn, 12) == ["rejected"]
    assert as_of(conn, 5) == ["rejected"]
    assert as_of(conn, 3, known=12) == []


def test_versions_are_in_order_although_a_clock_was_behind(conn: Connection) -> None:
    tell(conn, (1, "passed", 10, 10), (2, "rejected", 9, 9))

    assert as_of(conn, 10) == ["rejected"]


def test_a_verdict_that_is_recorded_is_true_although_jumio_s_clock_is_ahead(conn: Connection) -> None:
    tell(conn, (1, "passed", 12, 10))

    assert as_of(conn, 10) == ["passed"]
    assert as_of(conn, 9) == []


def test_the_same_key_of_two_tenants_has_two_verdicts(conn: Connection) -> None:
    tell(conn, (1, "passed", 2, 2))
    tell(conn, (1, "rejected", 2, 2), tenant="other")

    assert sorted(as_of(conn, 3)) == ["passed", "rejected"]


def test_every_column_is_that_of_the_verdicts(conn: Connection) -> None:
    tell(conn, (1, "passed", 2, 2))
    cursor = conn.execute("SELECT * FROM compliance.verdicts_as_of('2026-03-03')")
    names = [column.name for column in cursor.description or ()]
    [verdict] = conn.execute(f"SELECT {', '.join(names)} FROM compliance.verdicts".encode())

    assert cursor.fetchall() == [verdict]


def test_no_version_goes_without_its_workflow_and_no_check_without_its_report(conn: Connection) -> None:
    """Not even by the login that erases: then both go."""
    tell(conn, (1, "passed", 2, 2), (2, "rejected", 10, 10))
    conn.execute(
        "INSERT INTO pipeline.checks (report_id, position, capability, credential_ids, outcome)"
        " SELECT id, 0, 'liveness', '{}', 'passed' FROM pipeline.reports"
    )
    for table, why in (("verdicts", "a verdict goes only with its workflow"), ("checks", "goes only with its report")):
        with pytest.raises(psycopg.errors.RestrictViolation, match=why):
            conn.execute(f"SET LOCAL ROLE jumio_admin; DELETE FROM pipeline.{table}".encode())

    assert as_of(conn, 20) == ["rejected"]
    with conn.transaction():
        conn.execute("SET LOCAL ROLE jumio_admin")
        conn.execute("DELETE FROM pipeline.verdicts; DELETE FROM pipeline.reports; DELETE FROM pipeline.workflows")
    assert as_of(conn, 20) == []


def test_no_workflow_goes_without_a_word_in_the_trail(conn: Connection, login: Callable[[str], str]) -> None:
    tell(conn, (1, "rejected", 2, 2))
    gone = b"DELETE FROM pipeline.verdicts; DELETE FROM pipeline.reports; DELETE FROM pipeline.workflows"
    with psycopg.connect(login("jumio_admin"), autocommit=True) as operator:
        with pytest.raises(psycopg.errors.RestrictViolation, match="only by an erasure or by retention"):
            operator.execute(gone)
        assert as_of(conn, 3) == ["rejected"]

        with operator.transaction():
            append_audit(operator, "workflow.erased", tenant="default", reason="asked for it", details={})
            operator.execute(gone)
    assert as_of(conn, 3) == []


def test_one_workflow_is_read_from_its_index(conn: Connection) -> None:
    """The function is put in place like a view, and the condition reaches the table."""
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL enable_seqscan = off")  # the table has a row or two
        conn.execute("SET LOCAL enable_bitmapscan = off")  # and its times an index, too
        plan = "\n".join(
            row[0]
            for row in conn.execute(
                "EXPLAIN SELECT * FROM compliance.verdicts_as_of('2026-03-03', '2026-03-04') WHERE workflow_key = 'x'"
            )
        )

    assert "Index Cond: (workflow_key = 'x'::text)" in plan


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


def as_of(conn: Connection, true: int, *, known: int | None = None) -> list[str]:
    values: list[Any] = [day(true)] if known is None else [day(true), day(known)]
    marks = ", ".join("%s" for _ in values)
    return [row[0] for row in conn.execute(f"SELECT outcome FROM compliance.verdicts_as_of({marks})".encode(), values)]


def tell(conn: Connection, *versions: Told, tenant: str = "default") -> None:
    callback_id = uuid4()
    conn.execute(
        "INSERT INTO pipeline.callbacks (id, tenant, source_evidence, bytes, sha256, sealed_body, sealed_head, state)"
        " VALUES (%s, %s, '{}', 0, sha256(''), '', '', 'stored')",
        [callback_id, tenant],
    )
    key = [tenant, "kyx", KEY]
    conn.execute(
        "INSERT INTO pipeline.workflows (tenant, family, workflow_key, status) VALUES (%s, %s, %s, 'PROCESSED')", key
    )
    for version, outcome, valid, recorded in versions:
        report_id = uuid4()
        conn.execute(
            "INSERT INTO pipeline.reports (id, tenant, family, workflow_key, callback_id, digest, bytes, sealed)"
            " VALUES (%s, %s, %s, %s, %s, sha256(''), 0, '')",
            [report_id, *key, callback_id],
        )
        conn.execute(
            "INSERT INTO pipeline.verdicts (tenant, family, workflow_key, version, outcome, label, reasons, valid_from,"
            " recorded_at, digest, rests_on, callback_id, report_id)"
            " VALUES (%s, %s, %s, %s, %s, 'WORD', '[]', %s, %s, sha256(''), 'retrieval', %s, %s)",
            [*key, version, outcome, day(valid), day(recorded), callback_id, report_id],
        )


@pytest.fixture(autouse=True)
def utc(conn: Connection) -> None:
    conn.execute("SET timezone = 'UTC'")
