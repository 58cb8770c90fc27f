"""Reading in the clear: only by those who may, only with a reason, and never without a row that stays."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row

WHY = "Case 4711: the bank asks whose account this is"
REVEAL = b"SELECT * FROM compliance.reveal_identity('default', %s, %s)"


@pytest.fixture
def investigator(login: Callable[[str], str]) -> Iterator[Connection]:
    with psycopg.connect(login("compliance_investigator"), autocommit=True) as connection:
        yield connection


def test_the_first_call_notes_the_reason_and_the_second_shows(conn: Connection, investigator: Connection) -> None:
    key = keep(conn, "Anna", "Smith", born="1987-06-05", number="X123")
    conn.execute(b"UPDATE pipeline.identities SET issuing_state = 'Hamburg'")

    [first] = rows(investigator, REVEAL, key, WHY)
    [second] = rows(investigator, REVEAL, key, WHY)

    assert [name for name, value in first.items() if value is not None] == ["audit_number", "note"]
    assert "run the same statement again" in first["note"]
    shown = ("first_name", "last_name", "date_of_birth", "document_number", "issuing_state", "note")
    assert tuple(second[name] for name in shown) == ("Anna", "Smith", "1987-06-05", "X123", "Hamburg", None)
    assert told(conn, "identity.revealed") == [
        {"who": investigator.info.user, "workflow_key": key, "reason": WHY, "details": {"step": "asked"}},
        {
            "who": investigator.info.user,
            "workflow_key": key,
            "reason": WHY,
            "details": {"step": "shown", "asked_as": first["audit_number"]},
        },
    ]


def test_a_reason_is_kept_without_the_person_and_nobody_is_told(conn: Connection, investigator: Connection) -> None:
    """It stays for ever, also after an erasure; and whoever was told could guess, off record."""
    key = keep(conn, "Anna", "Smith", born="1987-06-05", number="X12345")
    why = "Case 4711: is this Anna"

    [asked] = rows(investigator, REVEAL, key, why)
    [shown] = rows(investigator, REVEAL, key, why)
    for reason in ("Case 4711: Anna Smith, perhaps", "Case 4711: born 5.6.1987", "Case 4711: 1988-06-05"):
        for _ in range(2):
            investigator.execute(b"SELECT * FROM compliance.find_person(%s, 'Smith Anna', '1987-06-05')", [reason])

    assert "run the same statement again" in asked["note"]
    assert shown["last_name"] == "Smith"
    assert {row["reason"] for row in told(conn, "identity.revealed")} == {"not kept: it named the person"}
    kept = [row["reason"] for row in told(conn, "person.searched")]
    assert kept == ["not kept: it named the person"] * 4 + ["Case 4711: 1988-06-05"] * 2


def test_one_transaction_shows_nothing_however_often_it_asks(conn: Connection, investigator: Connection) -> None:
    key = keep(conn, "Anna", "Smith")

    with investigator.transaction():
        for _ in range(2):
            assert nothing_shown(rows(investigator, REVEAL, key, WHY))
        with investigator.transaction():  # a savepoint that is released is no commit
            assert nothing_shown(rows(investigator, REVEAL, key, WHY))
        assert nothing_shown(rows(investigator, REVEAL, key, WHY))
    both = REVEAL + b" UNION ALL " + REVEAL
    with investigator.transaction():
        assert "Smith" not in str(investigator.execute(both, [key, "another " + WHY] * 2).fetchall())


def test_a_rollback_takes_back_no_row_of_what_was_shown(conn: Connection, investigator: Connection) -> None:
    key = keep(conn, "Anna", "Smith")

    for _ in range(3):  # asking and rolling back for ever shows nothing
        with investigator.transaction(force_rollback=True):
            assert nothing_shown(rows(investigator, REVEAL, key, WHY))
    assert told(conn, "identity.revealed") == []

    rows(investigator, REVEAL, key, WHY)
    with investigator.transaction(force_rollback=True):
        [shown] = rows(investigator, REVEAL, key, WHY)
    assert shown["last_name"] == "Smith"

    [row] = told(conn, "identity.revealed")
    assert (row["workflow_key"], row["reason"], row["details"]) == (key, WHY, {"step": "asked"})


def test_a_query_that_fails_on_what_was_shown_is_told_too(conn: Connection, investigator: Connection) -> None:
    key = keep(conn, "Anna", "Smith")
    in_an_error = b"SELECT last_name::integer FROM compliance.reveal_identity('default', %s, %s)"

    investigator.execute(in_an_error, [key, WHY])  # nothing there to fail on
    with pytest.raises(psycopg.DataError, match="Smith"):
        investigator.execute(in_an_error, [key, WHY])

    assert len(told(conn, "identity.revealed")) == 1


NOTHING_SAID = [
    *(None, "", "   \t\n  ", "because", " b e c a u s e ", " " * 10, "-" * 20, "?!" * 10, "aaaaaaaaaa", "ababababab"),
    *("\u200b" * 10, "\u00ad" * 10, "\ufeff\u2060\u3000" * 5, "\u0301" * 12, "a\u200bb\u0301" * 9, "\u3164" * 12),
]


@pytest.mark.parametrize("strings", ["on", "off"])  # off: a backslash in a string means something else
def test_a_reason_that_says_nothing_is_refused(investigator: Connection, strings: str) -> None:
    investigator.execute(f"SET standard_conforming_strings = {strings}".encode())
    for reason in NOTHING_SAID:
        for call in (REVEAL, b"SELECT * FROM compliance.find_person(%s, %s)"):
            with pytest.raises(psycopg.errors.InvalidParameterValue, match="say why"):
                investigator.execute(call, ["key", reason] if call is REVEAL else [reason, "Smith"])


def test_a_reason_may_be_in_any_script(investigator: Connection) -> None:
    for reason in ("case 4711 AML", "案件4711:银行询问账户归属", "дело 4711 банк", "υπόθεση 4711"):
        assert nothing_shown(rows(investigator, REVEAL, "key", reason))


@pytest.mark.parametrize("change", ["who", "key", "reason", "time"])
def test_a_request_is_good_for_what_it_asked_and_no_longer(
    conn: Connection, investigator: Connection, login: Callable[[str], str], change: str
) -> None:
    key, other = keep(conn, "Anna", "Smith"), keep(conn, "Otto", "Smith")
    rows(investigator, REVEAL, key, WHY)

    if change == "who":
        with psycopg.connect(login("compliance_investigator"), autocommit=True) as colleague:
            assert nothing_shown(rows(colleague, REVEAL, key, WHY))
    elif change == "key":
        assert nothing_shown(rows(investigator, REVEAL, other, WHY))
    elif change == "reason":
        assert nothing_shown(rows(investigator, REVEAL, key, WHY + "!"))
    else:
        conn.execute(b"UPDATE pipeline.access_requests SET made_at = made_at - interval '15 minutes'")
        assert nothing_shown(rows(investigator, REVEAL, key, WHY))


def test_what_is_on_record_is_flushed_although_a_session_would_not_wait(investigator: Connection) -> None:
    investigator.execute(b"SET synchronous_commit = off")
    with investigator.transaction():
        rows(investigator, REVEAL, "key", WHY)
        assert investigator.execute(b"SHOW synchronous_commit").fetchone() == ("on",)
    assert investigator.execute(b"SHOW synchronous_commit").fetchone() == ("off",)


def test_a_read_only_transaction_shows_nothing(conn: Connection, investigator: Connection) -> None:
    key = keep(conn, "Anna", "Smith")
    rows(investigator, REVEAL, key, WHY)

    investigator.read_only = True
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), investigator.transaction():
        investigator.execute(REVEAL, [key, WHY])


def test_a_workflow_without_an_identity_says_so(conn: Connection, investigator: Connection) -> None:
    rows(investigator, REVEAL, "no-such-key", WHY)

    [answer] = rows(investigator, REVEAL, "no-such-key", WHY)

    assert answer["note"] == "No identity is kept of this tenant and workflow."
    assert len(told(conn, "identity.revealed")) == 2


PEOPLE = {
    "anna": ("Anna María", "Smith-Jónes", "1987-06-05", "AB 123-4567"),
    "otto": ("Otto", "Łąckiewicz", "1990-01-12", "L0I9Z8"),
    "li": ("小明", "王", "1975-12-31", "E77777777"),
    "ivan": ("ИВАН", "Ёлкин", "1960-02-29", "4512 345678"),
    "half": ("Cher", "N/A", "1946-05-20", None),
}
FOUND = [
    ({"name": "anna maría smith-jónes"}, {"anna"}),
    ({"name": "Smith-Jónes Anna María"}, {"anna"}),
    ({"name": "Anna Maria Smith-Jones"}, set()),
    ({"name": "Anna Maria Smith-Jones", "close": True}, {"anna"}),
    ({"name": "JONES ANNA", "close": True}, {"anna"}),
    ({"name": "Ana Mria Smit Jones", "close": True}, {"anna"}),
    ({"name": "lackiewicz otto", "close": True}, {"otto"}),
    ({"name": "Lackievicz", "close": True}, {"otto"}),
    ({"name": "小明 王"}, {"li"}),
    ({"name": "王 小明", "close": True}, {"li"}),
    ({"name": "елкин иван", "close": True}, {"ivan"}),
    ({"name": "Cher"}, {"half"}),
    ({"name": "Nobody Known", "close": True}, set()),
    ({"born": "1987-06-05"}, {"anna"}),
    ({"born": "1990-12-01"}, set()),
    ({"born": "1990-12-01", "close": True}, {"otto"}),
    ({"born": "1988-06-05", "close": True}, {"anna"}),
    ({"born": "1960-02-29", "close": True}, {"ivan"}),
    ({"number": "ab1234567"}, {"anna"}),
    ({"number": "AB1234568"}, set()),
    ({"number": "AB1234568", "close": True}, {"anna"}),
    ({"number": "LO1928"}, set()),
    ({"number": "LO1928", "close": True}, {"otto"}),
    ({"name": "Anna María Smith-Jónes", "born": "1990-01-12"}, set()),
    ({"name": "smith", "born": "1987-06-06", "number": "AB1234567", "close": True}, {"anna"}),
    ({"born": "1987-06-05", "only_tenant": "another"}, set()),
]


@pytest.mark.parametrize(("asked", "expected"), FOUND)
def test_a_person_is_found_as_exactly_or_closely_as_asked(
    conn: Connection, investigator: Connection, asked: dict[str, Any], expected: set[str]
) -> None:
    keys = {keep(conn, *person): name for name, person in PEOPLE.items()}

    assert nothing_shown(search(investigator, **asked))
    [counted] = search(investigator, **asked)
    found = search(investigator, **asked)

    assert nothing_shown([counted])
    assert counted["note"].startswith(f"Found: {len(expected)};" if expected else "Nobody was found.")
    assert {keys[row["workflow_key"]] for row in found if row["workflow_key"]} == expected
    if not expected:
        assert found[0]["note"] == "Nobody was found."


def test_a_search_tells_who_was_found_and_nothing_that_was_asked(conn: Connection, investigator: Connection) -> None:
    key = keep(conn, *PEOPLE["anna"])
    for _ in range(2):
        with investigator.transaction():
            search(investigator, name="Anna María Smith-Jónes", born="1987-06-05")
    keep(conn, *PEOPLE["anna"])  # whom the audit row does not name is not shown
    with investigator.transaction(force_rollback=True):
        [shown] = search(investigator, name="Anna María Smith-Jónes", born="1987-06-05")

    assert (shown["workflow_key"], shown["last_name"]) == (key, "Smith-Jónes")
    asked, found = (row["details"] for row in told(conn, "person.searched"))
    assert asked == {"step": "asked", "close": False, "by": ["name", "born"]}
    assert (found["step"], found["found"]) == ("searched", [["default", "kyx", key]])
    trail = str(conn.execute(b"SELECT a, u FROM pipeline.audit a, pipeline.access_requests u").fetchall())
    assert not any(word in trail for word in ("Anna", "anna", "Smith", "smith", "1987-06-05", "19870605"))
    # Digests, ids and fractions of seconds hold any four digits once in a few hundred runs.
    assert "1987" not in re.sub(r"[0-9a-f-]{8,}|\.\d+", "", trail)


HITS = b"""
    SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_all_tables
    WHERE schemaname = 'pipeline' AND relname = %s"""
TOLD = b"""
    SELECT w.workflow_key FROM compliance.workflows w CROSS JOIN LATERAL compliance.timeline(w.workflow_key) t
    WHERE t.what = 'person.searched'"""


def test_a_search_that_is_rolled_back_was_asked_for_on_record_and_shows_nobody(
    conn: Connection, investigator: Connection
) -> None:
    key = keep(conn, *PEOPLE["anna"])
    asked = {"born": "1987-06-05"}
    with investigator.transaction(force_rollback=True):
        search(investigator, **asked)

        assert [one(investigator, HITS, table) for table in (["identities"], ["workflows"])] == [0, 0]
        assert investigator.execute(TOLD).fetchall() == []
    assert told(conn, "person.searched") == []

    search(investigator, **asked)
    with investigator.transaction(force_rollback=True):
        before = one(investigator, HITS, ["identities"])
        assert nothing_shown(search(investigator, **asked))
        assert one(investigator, HITS, ["identities"]) > before
        assert investigator.execute(TOLD).fetchall() == []
    assert [row["details"]["step"] for row in told(conn, "person.searched")] == ["asked"]

    search(investigator, **asked)
    conn.execute(b"SELECT pipeline.seal_audit()")
    assert investigator.execute(TOLD).fetchall() == [(key,)]


def test_a_search_needs_something_to_search_for(investigator: Connection) -> None:
    for asked in ({}, {"name": " - "}, {"number": "--"}):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="say a name"):
            search(investigator, **asked)


def search(conn: Connection, **asked: Any) -> list[dict[str, Any]]:
    named = "".join(f", {name} => %({name})s" for name in asked)
    with conn.cursor(row_factory=dict_row) as cursor:
        statement = f"SELECT * FROM compliance.find_person(%(why)s{named})".encode()
        return cursor.execute(statement, {**asked, "why": WHY}).fetchall()


def rows(conn: Connection, statement: bytes, *values: object) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values).fetchall()


def one(conn: Connection, statement: bytes, values: list[object]) -> int:
    [(found,)] = conn.execute(statement, values).fetchall()
    return int(found)


def nothing_shown(found: list[dict[str, Any]]) -> bool:
    return all(value is None for row in found for name, value in row.items() if name not in {"audit_number", "note"})


def told(conn: Connection, action: str) -> list[dict[str, Any]]:
    statement = (
        b"SELECT who, workflow_key, reason, details FROM compliance.audit_trail WHERE action = %s ORDER BY number"
    )
    return rows(conn, statement, action)


def keep(conn: Connection, first: str, last: str, born: str | None = None, number: str | None = None) -> str:
    """One workflow with its identity; its key."""
    key, callback, report = str(uuid4()), uuid4(), uuid4()
    conn.execute(
        b"INSERT INTO pipeline.callbacks (id, tenant, source_evidence, bytes, sha256, sealed_body, sealed_head, state)"
        b" VALUES (%s, 'default', '{}', 0, sha256(''), '', '', 'stored')",
        [callback],
    )
    conn.execute(
        b"INSERT INTO pipeline.workflows (tenant, family, workflow_key, status, report_id)"
        b" VALUES ('default', 'kyx', %s, 'PROCESSED', %s)",
        [key, report],
    )
    conn.execute(
        b"INSERT INTO pipeline.reports (id, tenant, family, workflow_key, callback_id, digest, bytes, sealed)"
        b" VALUES (%s, 'default', 'kyx', %s, %s, sha256(''), 0, '')",
        [report, key, callback],
    )
    conn.execute(
        b"INSERT INTO pipeline.identities (report_id, position, first_name, last_name, date_of_birth, document_number)"
        b" VALUES (%s, 0, %s, %s, %s, %s)",
        [report, first, last, born, number],
    )
    return key
