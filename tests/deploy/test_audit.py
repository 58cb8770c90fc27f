"""The audit trail: rows are only added, nobody waits for anybody, and whatever is done to it is found and named."""

import re
import threading
from collections.abc import Callable
from ipaddress import ip_address

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import Connection

from deploy.audit import Head, HeadError, Verification, read_head, verify
from deploy.commands.audit import command
from deploy.requeue import requeue_parked, requeue_refused
from workers.store import append_audit, note_settings

# One of every kind of field: empty ones, empty texts, every plane of Unicode, and what would end a field elsewhere.
ODD = ["", " ", "a:b", "-", "5:abcde", "naïve \U0001f50d 见本", "line\nbreak", '"quoted"\\', "1:-", "é", "e\u0301"]


@pytest.fixture
def trail(conn: Connection) -> Connection:
    """Ten sealed rows."""
    for number in range(10):
        append_audit(conn, "rows.requeued", reason=f"reason {number}", details={"rows": number})
    read_head(conn)
    return conn


def test_a_row_says_by_itself_who_when_and_from_where(conn: Connection, login: Callable[[str], str]) -> None:
    url = login("jumio_worker")
    with psycopg.connect(url, autocommit=True, application_name="a worker") as worker:
        append_audit(worker, "image.read", tenant="t", family="kyx", workflow_key="k", reason="why", details={"n": 1})

        name = worker.info.user
    [row] = conn.execute(
        b"SELECT who, application, client_address, action, tenant, family, workflow_key, reason, details,"
        b" clock_timestamp() - happened_at < interval '1 minute'"
        b" FROM compliance.audit_trail WHERE action = 'image.read'"
    ).fetchall()
    assert row == (*(name, "a worker", ip_address("127.0.0.1"), "image.read", "t", "kyx", "k", "why", {"n": 1}, True),)


def test_an_action_that_is_not_on_the_list_is_refused(conn: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        append_audit(conn, "identity.seen")


def test_a_setting_that_changed_between_two_starts_is_told_once(conn: Connection, login: Callable[[str], str]) -> None:
    with psycopg.connect(login("jumio_receiver"), autocommit=True) as receiver:
        for check in ("enforce", "enforce", "observe", "observe"):
            note_settings(receiver, "receiver", {"source_check": check, "source_extra": ""})
    note_settings(conn, "worker", {"images_url": "postgres:"})

    told = conn.execute(
        "SELECT details ->> 'process', details -> 'changed' FROM pipeline.audit WHERE action = 'setting.changed'"
        " ORDER BY number"
    ).fetchall()
    assert told == [
        ("receiver", {"source_check": {"was": None, "is": "enforce"}, "source_extra": {"was": None, "is": ""}}),
        ("receiver", {"source_check": {"was": "enforce", "is": "observe"}}),
        ("worker", {"images_url": {"was": None, "is": "postgres:"}}),
    ]


def test_what_python_and_postgres_compute_is_the_same_for_every_text(conn: Connection) -> None:
    for text in ODD:
        append_audit(conn, "key.rotated", tenant=text, reason=text, details={text: [text, None, 1.5, 10**20]})
        append_audit(conn, "key.rotated", workflow_key=text)

    head = read_head(conn)

    assert head.position == 2 * len(ODD)
    assert verify(conn) == Verification(head=head)


def test_rows_that_wait_to_be_sealed_are_only_noted(trail: Connection) -> None:
    append_audit(trail, "hold.placed")

    result = verify(trail)

    assert (result.wrong, result.notes) == ([], ["1 rows are not sealed yet"])
    assert result.head.position == 10


@pytest.mark.parametrize("statement", ["UPDATE {} SET number = DEFAULT", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["pipeline.audit", "pipeline.audit_links"])
def test_even_the_owner_of_the_tables_is_refused(trail: Connection, table: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="only ever added to"):
        trail.execute(statement.format(table).encode())


TAMPERED = [
    ("UPDATE pipeline.audit SET reason = 'another' WHERE number = {5}", ["row {5} at position 5 was changed"]),
    ("UPDATE pipeline.audit SET who = 'another' WHERE number = {1}", ["row {1} at position 1 was changed"]),
    ("UPDATE pipeline.audit SET details = '{{}}' WHERE number = {10}", ["row {10} at position 10 was changed"]),
    (
        "UPDATE pipeline.audit SET happened_at = happened_at + interval '1 microsecond' WHERE number = {5}",
        ["row {5} at position 5 was changed"],
    ),
    ("UPDATE pipeline.audit SET tenant = '' WHERE number = {5}", ["row {5} at position 5 was changed"]),
    ("DELETE FROM pipeline.audit WHERE number = {5}", ["row {5} at position 5 was removed"]),
    (
        """DELETE FROM pipeline.audit WHERE number IN ({5}, {6});
        DELETE FROM pipeline.audit_links WHERE position IN (5, 6)""",
        ["positions 5 to 6 were removed from the chain"],
    ),
    (
        "DELETE FROM pipeline.audit WHERE number = {1}; DELETE FROM pipeline.audit_links WHERE position = 1",
        ["positions 1 to 1 were removed from the chain"],
    ),
    (
        "DELETE FROM pipeline.audit_links WHERE position = 5",
        [
            "positions 5 to 5 were removed from the chain",
            "row {5} was put in: it was not written by pipeline.append_audit",
        ],
    ),
    (
        """INSERT INTO pipeline.audit OVERRIDING SYSTEM VALUE
        SELECT {10} + 5, happened_at, 'another', application, client_address, action, tenant, family, workflow_key,
            reason, details FROM pipeline.audit WHERE number = {5}""",
        ["row {15} was put in: it was not written by pipeline.append_audit"],
    ),
    # Whoever knows how a digest is made, but stops at the row itself.
    (
        """UPDATE pipeline.audit SET reason = 'another' WHERE number = {5};
        UPDATE pipeline.audit_links l SET digest = pipeline.audit_digest(a) FROM pipeline.audit a
        WHERE a.number = {5} AND l.number = {5}""",
        ["row {5} at position 5 does not follow from the one before it"],
    ),
    (
        "UPDATE pipeline.audit_links SET sealed_at = '1969-01-01' WHERE position = 5",
        ["row {5} at position 5 does not follow from the one before it"],
    ),
    (
        "UPDATE pipeline.audit_links SET link = sha256('x') WHERE position = 5",
        [
            "row {5} at position 5 does not follow from the one before it",
            "row {6} at position 6 does not follow from the one before it",
        ],
    ),
    (
        """UPDATE pipeline.audit_links SET number = {10} + 1 WHERE position = 4;
        UPDATE pipeline.audit_links SET number = {4} WHERE position = 5;
        UPDATE pipeline.audit_links SET number = {5} WHERE position = 4""",
        [
            "row {5} at position 4 does not follow from the one before it",
            "row {5} at position 4 was changed",
            "row {4} at position 5 does not follow from the one before it",
            "row {4} at position 5 was changed",
        ],
    ),
]


@pytest.mark.parametrize(("statements", "expected"), TAMPERED)
def test_whatever_a_superuser_does_is_found_and_named(trail: Connection, statements: str, expected: list[str]) -> None:
    numbers = numbers_by_position(trail)
    numbers += [numbers[-1] + more for more in range(1, 6)]

    with trail.transaction():
        trail.execute(b"SET LOCAL session_replication_role = replica")
        trail.execute(statements.format(*numbers).encode())

    wrong = verify(trail).wrong
    assert len(wrong) == len(expected)
    for line, beginning in zip(wrong, expected, strict=True):
        assert line.startswith(beginning.format(*numbers))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE pipeline.audit SET reason = 'x' WHERE number = {11}", "row {11} was changed before it was sealed"),
        ("DELETE FROM pipeline.audit WHERE number = {11}", "row {11} was removed before it was sealed"),
        ("DELETE FROM pipeline.audit_unsealed", "row {11} was put in: it was not written by pipeline.append_audit"),
    ],
)
def test_rows_are_guarded_before_they_are_sealed_too(trail: Connection, statement: str, expected: str) -> None:
    numbers = [*numbers_by_position(trail), append_audit(trail, "hold.placed", reason="late")]

    with trail.transaction():
        trail.execute(b"SET LOCAL session_replication_role = replica")
        trail.execute(statement.format(*numbers).encode())

    assert verify(trail).wrong == [expected.format(*numbers)]


def test_a_head_that_was_kept_shows_rows_that_were_cut_off_the_end(trail: Connection) -> None:
    kept = read_head(trail)
    with trail.transaction():
        trail.execute(b"SET LOCAL session_replication_role = replica")
        trail.execute(b"DELETE FROM pipeline.audit_links WHERE position > 7")
        trail.execute(b"DELETE FROM pipeline.audit WHERE number > (SELECT max(number) FROM pipeline.audit_links)")

    assert verify(trail).wrong == []
    assert verify(trail, kept).wrong == [
        "the chain ends at position 7, before the head's 10: its last rows were removed"
    ]


def test_a_head_that_was_kept_shows_a_chain_that_was_written_anew(trail: Connection) -> None:
    kept = read_head(trail)
    with trail.transaction():
        trail.execute(b"SET LOCAL session_replication_role = replica")
        trail.execute(
            b"UPDATE pipeline.audit SET reason = 'another' WHERE number = (SELECT min(number) FROM pipeline.audit)"
        )
        trail.execute(b"DELETE FROM pipeline.audit_links")
        trail.execute(
            b"INSERT INTO pipeline.audit_unsealed SELECT a.number, pipeline.audit_digest(a) FROM pipeline.audit a"
        )
        trail.execute(b"SELECT pipeline.seal_audit()")

    assert verify(trail).wrong == []
    assert verify(trail, kept).wrong == ["the chain up to position 10 is not the one that the head is of"]


def test_a_head_stays_good_while_the_trail_grows(trail: Connection) -> None:
    kept = read_head(trail)
    append_audit(trail, "hold.released")
    read_head(trail)

    assert verify(trail, kept) == Verification(head=read_head(trail))
    assert verify(trail, Head.parse(f"0:{'0' * 64}")).wrong == []
    with pytest.raises(HeadError):
        Head.parse("10:abc")


def test_a_transaction_that_stays_open_keeps_nobody_waiting_and_is_sealed_when_it_ends(
    conn: Connection, database_url: str
) -> None:
    with psycopg.connect(database_url) as sleeper, psycopg.connect(database_url) as canceller:
        late = append_audit(sleeper, "hold.placed", reason="open for long")
        append_audit(canceller, "hold.placed", reason="rolled back")
        canceller.rollback()
        # Whoever waits for the open transaction waits until its end, which comes below.
        conn.execute("SET statement_timeout = '20s'")
        early = [append_audit(conn, "hold.placed") for _ in range(3)]
        assert read_head(conn).position == 3
        sleeper.commit()

    assert read_head(conn).position == 4
    assert numbers_by_position(conn)[1:] == [*early, late]
    assert verify(conn).wrong == []


def test_of_many_that_seal_at_once_one_does_and_the_chain_is_whole(conn: Connection, database_url: str) -> None:
    def write_and_seal() -> None:
        with psycopg.connect(database_url, autocommit=True) as writer:
            for _ in range(20):
                append_audit(writer, "image.read")
                writer.execute(b"SELECT pipeline.seal_audit(3)")

    threads = [threading.Thread(target=write_and_seal) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert read_head(conn).position == 80
    assert verify(conn) == Verification(head=read_head(conn))


def test_who_holds_the_chain_keeps_no_relay_waiting(trail: Connection, database_url: str) -> None:
    append_audit(trail, "hold.placed")
    with psycopg.connect(database_url) as vacuum:
        vacuum.execute(b"LOCK TABLE pipeline.audit_links IN SHARE UPDATE EXCLUSIVE MODE")

        assert trail.execute(b"SELECT pipeline.seal_audit()").fetchone() == (0,)
    assert trail.execute(b"SELECT pipeline.seal_audit()").fetchone() == (1,)


def test_an_analyst_cannot_keep_anyone_from_sealing(trail: Connection, login: Callable[[str], str]) -> None:
    with (
        psycopg.connect(login("compliance_analyst")) as analyst,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        analyst.execute(b"LOCK TABLE pipeline.audit_links IN ACCESS SHARE MODE")
    with psycopg.connect(login("compliance_auditor")) as auditor:
        auditor.execute(b"SELECT * FROM pipeline.audit_links, pipeline.audit")
        append_audit(trail, "hold.placed")

        # Two logins were told, and the hold.
        assert read_head(trail).position == 13


def test_an_auditor_verifies_with_the_command(
    trail: Connection, login: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", login("compliance_auditor"))

    head = CliRunner().invoke(command, ["head"]).output.strip()
    whole = CliRunner().invoke(command, ["verify", "--head", head])
    with trail.transaction():
        trail.execute(b"SET LOCAL session_replication_role = replica")
        trail.execute(b"UPDATE pipeline.audit SET reason = 'x'")
    broken = CliRunner().invoke(command, ["verify"])

    assert re.fullmatch(r"10:[0-9a-f]{64}", head)
    assert whole.exit_code == 0, whole.output
    assert f"10 rows hold together; the chain ends at {head}" in whole.output
    assert "note: 1 rows are not sealed yet" in whole.output
    assert broken.exit_code == 1
    assert broken.output.count("was changed") == 11  # that of the login too
    assert CliRunner().invoke(command, ["verify", "--head", "ten"]).exit_code == 2


def test_requeueing_is_told(conn: Connection) -> None:
    requeue_parked(conn, "jumio_away")
    requeue_refused(conn, ip_address("192.0.2.7"))

    told = [row[0] for row in conn.execute(b"SELECT details FROM compliance.audit_trail ORDER BY number")]
    assert told == [
        {"asked": {"parked": "jumio_away"}, "rows": {"callbacks": 0, "images": 0, "deliveries": 0, "deletions": 0}},
        {"asked": {"refused": "192.0.2.7"}, "rows": {"callbacks": 0}},
    ]


def numbers_by_position(conn: Connection) -> list[int]:
    """By place, from 1."""
    found = [row[0] for row in conn.execute(b"SELECT number FROM pipeline.audit_links ORDER BY position")]
    return [0, *found]
