"""What is not known is counted by kind, once a reading, with an example in which no value survives."""

import json
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import Connection
from psycopg.rows import dict_row
from structlog.testing import capture_logs

from workers.drift import LONGEST_KIND, MOST_KINDS, mask, note_drift

PLANTED = "Zoltán"
# Everything that a mask says of its own accord.
COUNT = r"(?:\d{1,3}|over 999)"
SAID = re.compile(
    rf"(?:text|bytes|object|list) of {COUNT}|{COUNT} more|true or false|something else|number|null", re.ASCII
)
NAMED = re.compile(rf"name of {COUNT}|\.\.\.", re.ASCII)


@pytest.fixture(autouse=True)
def _forget(database_url: str) -> Iterator[None]:
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("DELETE FROM pipeline.drift")
        yield
        other.execute("DELETE FROM pipeline.drift")


def note(
    conn: Connection, *oddities: str, example: object = None, tenant: str = "default", family: str = "kyx"
) -> None:
    note_drift(conn, tenant, family, oddities, example=example)


def noted(conn: Connection) -> dict[str, dict[str, Any]]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return {row["what"]: row for row in cursor.execute("SELECT * FROM pipeline.drift").fetchall()}


def test_a_kind_is_counted_once_a_reading_and_keeps_its_first_example(conn: Connection) -> None:
    note(conn, "not_score:score", "no_id:workflow", "not_score:score", example={"score": "high"})
    first = noted(conn)["not_score:score"]

    note(conn, "not_score:score", example={"score": "very high"})

    again = noted(conn)["not_score:score"]
    assert (again["times"], noted(conn)["no_id:workflow"]["times"]) == (2, 1)
    assert again["example"] == first["example"] == '{"score": "text of 4"}'
    assert again["first_seen_at"] == first["first_seen_at"] < again["last_seen_at"] <= datetime.now(UTC)


def test_tenants_and_families_are_counted_apart(conn: Connection) -> None:
    for tenant, family in (("a", "kyx"), ("b", "kyx"), ("a", "netverify")):
        note(conn, "cut:name", tenant=tenant, family=family)

    rows = conn.execute("SELECT tenant, family, times FROM pipeline.drift ORDER BY 1, 2").fetchall()
    assert rows == [("a", "kyx", 1), ("a", "netverify", 1), ("b", "kyx", 1)]


def test_nothing_odd_costs_nothing(conn: Connection) -> None:
    conn.close()

    note(conn)


def test_kinds_are_few_short_and_of_letters_that_a_column_holds(conn: Connection) -> None:
    note(conn, *(f"kind:{number}" for number in range(MOST_KINDS + 20)))
    assert len(noted(conn)) == MOST_KINDS

    note(conn, "bad:\0\ud800 é\n", "long:" + "x" * 500, "long:" + "x" * 501)

    found = noted(conn)
    assert "bad:?????" in found
    assert max(map(len, found)) == LONGEST_KIND
    assert len(found) == MOST_KINDS + 2


def test_a_thousand_kinds_are_listed_and_the_rest_is_counted_as_one(conn: Connection) -> None:
    conn.execute(
        "INSERT INTO pipeline.drift (tenant, family, what, example) "
        "SELECT 'default', 'kyx', 'old:' || n, 'null' FROM generate_series(1, 1000) n"
    )

    note(conn, "new:1", "new:2", "old:7")
    note(conn, "new:1", tenant="other")

    counted = {what: row["times"] for what, row in noted(conn).items() if not what.startswith("old:")}
    assert counted == {"more_kinds": 1, "new:1": 1}
    assert noted(conn)["old:7"]["times"] == 2


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        ("not_object:decision", {"decision": "text of 6"}),
        ("unknown_capability:gait", {"gait": [{"id": "text of 36", "score": "number", "fine": "true or false"}]}),
        ("unknown_decision:MAYBE", {"type": "text of 5", "details": None}),
    ],
)
def test_an_example_shows_the_place_that_the_kind_names(conn: Connection, kind: str, example: object) -> None:
    gait = [{"id": "i" * 36, "score": 0.5, "fine": True}]
    document = {
        "inner": {"decision": PLANTED, "parts": [{"gait": gait}]},
        "outer": [{"decision": {"type": "MAYBE", "details": None}}],
    }

    note(conn, kind, example=document)

    assert json.loads(noted(conn)[kind]["example"]) == example


def test_where_a_kind_names_no_place_the_example_is_the_whole(conn: Connection) -> None:
    note(conn, "no_id:account", example={"inner": {"decision": PLANTED, "parts": []}, f"{PLANTED}!": 1})

    assert json.loads(noted(conn)["no_id:account"]["example"]) == {
        "inner": {"decision": "text of 6", "parts": []},
        "name of 7": "number",
    }


def test_what_lies_higher_is_the_place(conn: Connection) -> None:
    note(conn, "not_text:name", example={"inner": {"name": 1}, "name": "Ann"})

    assert noted(conn)["not_text:name"]["example"] == '{"name": "text of 3"}'


@pytest.mark.parametrize(
    ("body", "example"),
    [
        (b'{"family":"Smith","x":[1,2]}', '{"family": "text of 5", "x": ["number", "number"]}'),
        (b"scanReference=abc&idFirstName=Ma%20ry", '{"scanReference": "text of 3", "idFirstName": "text of 5"}'),
        (b'{"idFirstName":"Mary&Connell=5"', '"bytes of 31"'),
        (b"a=b&Mary Ann=5", '"bytes of 14"'),
        (b"\xff\xfe\x00", '"bytes of 3"'),
        (b"[" * 100_000, '"bytes of over 999"'),
        (b"", '"bytes of 0"'),
    ],
    ids=["json", "form", "cut json", "no form", "binary", "deep", "empty"],
)  # fmt: skip
def test_a_callback_that_cannot_be_read_shows_its_shape(conn: Connection, body: bytes, example: str) -> None:
    note(conn, "unreadable:family", family="unknown", example=body)

    assert noted(conn)["unreadable:family"]["example"] == example


def test_a_held_row_is_not_waited_for(conn: Connection, database_url: str) -> None:
    note(conn, "held:row")

    with psycopg.connect(database_url) as other, capture_logs() as logs:
        other.execute("UPDATE pipeline.drift SET times = 100")
        note(conn, "held:row", "other:row")
        other.rollback()

    assert [(line["event"], line["sqlstate"]) for line in logs] == [("drift.unnoted", "55P03")]
    assert conn.execute("SELECT times FROM pipeline.drift").fetchall() == [(1,)]


def test_a_lost_connection_is_the_callers_matter(conn: Connection, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])

    with pytest.raises(psycopg.OperationalError):
        note(conn, "any:thing")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=12), inner, max_size=6),
    max_leaves=60,
)


@given(JSON)
def test_a_mask_says_nothing_but_its_own_words_and_names_of_members(value: object) -> None:
    shape = json.loads(mask(value))

    assert [said for said in words(shape) if not SAID.fullmatch(said)] == []
    kept = {name for name in names(shape) if not NAMED.fullmatch(name)}
    assert kept <= {name for name in names(value) if re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,63}", name)}


@given(JSON, st.text(string.ascii_letters + string.digits + " -", min_size=4, max_size=20))
def test_no_planted_text_survives_wherever_it_is(value: object, suffix: str) -> None:
    planted = f"QZ{suffix}"

    masked = mask(
        {"a": [value, planted, {"b": planted, f"- {planted}": [[[[[[planted]]]]]]}], "c": f"{planted}{value}"}
    )

    assert planted not in masked


@given(JSON)
def test_any_body_and_any_document_has_an_example(value: object) -> None:
    for each in (value, [value] * 100, {"a": {"b": {"c": {"d": {"e": {"f": value}}}}}}):
        assert len(mask(each)) < 5000


def test_what_is_wide_is_shown_in_width_first() -> None:
    wide = {"first": {f"inner{number}": 1 for number in range(100)}, **{f"m{number}": 1 for number in range(30)}}

    masked = json.loads(mask(wide))

    assert list(masked) == list(wide)
    assert masked["first"]["..."] == "91 more"


def test_what_is_no_json_is_something_else_and_numbers_of_any_size_are_numbers() -> None:
    assert mask({"a": object(), "b": 10**400, "c": float("inf"), "d": (1, b"xy")}) == json.dumps(
        {"a": "something else", "b": "number", "c": "number", "d": ["number", "bytes of 2"]}
    )


def words(shape: object) -> Iterator[str]:
    if isinstance(shape, dict | list):
        for part in shape.values() if isinstance(shape, dict) else shape:
            yield from words(part)
    else:
        yield "null" if shape is None else str(shape)


def names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from names(part)
    elif isinstance(value, list):
        for part in value:
            yield from names(part)
