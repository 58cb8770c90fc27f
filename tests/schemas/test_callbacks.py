"""The bytes of a callback -> which transaction it is about, or the one word that it is parked for."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.callbacks.callback import UnreadableCallbackError, is_id, read_time
from schemas.callbacks.recognise import read_callback

FIXTURES = Path(__file__).parents[1] / "fixtures"
INDEX = json.loads((FIXTURES / "index.json").read_text())
CALLBACKS = [entry for entry in INDEX["files"] if entry.get("direction") == "callback"]
PLANTED = "PLANTED-7431"
CODES = {
    "empty",
    "family",
    "encoding",
    "json",
    "depth",
    "number",
    "duplicate_keys",
    "nul_character",
    "shape",
    "id",
    "form",
    "size",
}
# index.json says `accept` or `park`; where it leaves a choice, this is what was chosen.
PARKED = {
    "malformed/truncated.json": "json",
    "malformed/empty.bin": "empty",
    "malformed/smart_quotes.json": "json",
    "malformed/missing_comma.json": "json",
    "malformed/trailing_comma.json": "json",
    "malformed/trailing_garbage.json": "json",
    "malformed/latin1.json": "encoding",
    "malformed/raw_nul_bytes.json": "json",
    "malformed/huge_float.json": "number",
    "malformed/array_root.json": "family",
    "malformed/bad_ids.json": "id",
    "malformed/form_many_fields.form": "shape",
}
ACCEPTED = {
    "malformed/utf8_bom.json",
    "malformed/impossible_timestamp.json",
    "malformed/json_body_form_type.json",
    "malformed/form_body_json_type.form",
    "malformed/form_bad_embedded_json.form",
    "malformed/form_nul.form",
    # Size is the door's to judge (MAX_BODY_BYTES), not the reader's.
    "malformed/oversize_string.json",
}


def entries(start: str) -> list[Any]:
    return [pytest.param(entry, id=entry["path"]) for entry in CALLBACKS if entry["path"].startswith(start)]


@pytest.mark.parametrize("entry", entries("callbacks/kyx/"))
def test_a_callback_of_the_present_generation_is_read(entry: dict[str, Any]) -> None:
    callback = read_callback((FIXTURES / entry["path"]).read_bytes())

    assert callback.family == "kyx"
    assert callback.workflow_key == entry["key"]
    assert callback.status == entry["status"]
    assert is_id(callback.account_id)
    assert callback.sent_at is not None
    assert callback.stage == {True: "final", False: "underway", None: "unknown"}[entry["final"]]


@pytest.mark.parametrize("entry", entries("malformed/"))
def test_what_is_malformed_is_accepted_or_parked_as_the_index_expects(entry: dict[str, Any]) -> None:
    path, body = entry["path"], (FIXTURES / entry["path"]).read_bytes()

    if path in ACCEPTED:
        assert "accept" in entry["expect"] or "body cap" in entry["expect"]
        callback = read_callback(body)
        if callback.family == "kyx":
            assert callback.workflow_key == "f41fcb28-e1ec-4229-9aa5-148c01a8c3f5"
    else:
        assert "park" in entry["expect"]
        with pytest.raises(UnreadableCallbackError) as caught:
            read_callback(body)
        assert caught.value.code == PARKED[path]


def test_every_folder_of_callbacks_has_fixtures_in_the_index() -> None:
    on_disk = {
        str(path.relative_to(FIXTURES))
        for folder in ("callbacks", "malformed")
        for path in (FIXTURES / folder).rglob("*")
        if path.is_file()
    }

    assert {entry["path"] for entry in CALLBACKS} == on_disk
    assert len([entry for entry in CALLBACKS if entry["path"].startswith("callbacks/kyx/")]) >= 10


def test_an_impossible_time_is_no_time() -> None:
    callback = read_callback((FIXTURES / "malformed/impossible_timestamp.json").read_bytes())

    assert callback.sent_at is None


def document(**changes: Any) -> dict[str, Any]:
    workflow = {"id": "w-1", "status": "PROCESSED"} | changes.pop("workflow", {})
    return {"workflowExecution": workflow, "account": {"id": "a-1"}, "note": PLANTED, **changes}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"workflowExecution": [PLANTED]}, "shape"),
        ({"workflowExecution": None}, "shape"),
        ({"account": PLANTED}, "shape"),
        ({"workflow": {"status": None}}, "shape"),
        ({"workflow": {"status": ""}}, "shape"),
        ({"workflow": {"status": [PLANTED]}}, "shape"),
        ({"workflow": {"status": "P" * 65}}, "shape"),
        ({"workflow": {"id": None}}, "id"),
        ({"workflow": {"id": 7}}, "id"),
        ({"workflow": {"id": f"{PLANTED}/.."}}, "id"),
        ({"account": {}}, "id"),
        ({"account": {"id": f"{PLANTED}\n"}}, "id"),
    ],
)
def test_a_callback_of_another_shape_is_refused_by_a_code(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_callback(json.dumps(document(**changed)).encode())

    assert caught.value.code == code
    assert PLANTED not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("INITIATED", "underway"),
        ("ACQUISITION_STARTED", "underway"),
        ("ACQUIRED", "underway"),
        ("PROCESSED", "final"),
        ("SESSION_EXPIRED", "final"),
        ("TOKEN_EXPIRED", "final"),
        ("processed", "unknown"),
        ("A_WORD_OF_TOMORROW", "unknown"),
    ],
)
def test_a_status_says_how_far_the_workflow_is(status: str, stage: str) -> None:
    callback = read_callback(json.dumps(document(workflow={"status": status})).encode())

    assert (callback.status, callback.stage) == (status, stage)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70) | st.sampled_from(["PROCESSED", "w-1", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "workflowExecution": JSON_VALUES
        | st.fixed_dictionaries({}, optional={"id": JSON_VALUES, "status": JSON_VALUES}),
        "account": JSON_VALUES | st.fixed_dictionaries({"id": JSON_VALUES}),
        "callbackSentAt": JSON_VALUES,
    },
).map(lambda value: json.dumps(value).encode())
BROKEN = st.tuples(st.just(json.dumps(document()).encode()), st.integers(0, 120), st.binary(max_size=4)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
)


@given(body=st.binary(max_size=200) | NEARLY | BROKEN)
def test_any_bytes_are_a_callback_or_a_reason_to_park(body: bytes) -> None:
    callback, error = None, None
    try:
        callback = read_callback(body)
    except UnreadableCallbackError as caught:
        error = caught

    if error is not None:
        assert error.code in CODES
        assert str(error).startswith(f"{error.code}: ")
        assert PLANTED not in str(error)
    if callback is not None:
        assert is_id(callback.workflow_key)
        assert is_id(callback.account_id)
        assert 0 < len(callback.status) <= 64


@given(
    body=st.sampled_from(
        [b'{"a":"%s"', b'{"%s":NaN}', b'{"%s":1,"%s":2}', b"%s", b'{"a":"%s\xff"}', b'["%s"]', b'{"x":"%s\\u0000"}']
    ),
    blank=st.sampled_from([b"", b" \r\n\t", b"\xef\xbb\xbf"]),
)
def test_no_reason_quotes_the_body(body: bytes, blank: bytes) -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_callback(blank + body.replace(b"%s", PLANTED.encode()))

    assert PLANTED not in f"{caught.value} {caught.value!r} {caught.value.args}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("value", ["f41fcb28-e1ec-4229-9aa5-148c01a8c3f5", "a", "Z-9", "a" * 64])
def test_ids_of_letters_digits_and_dashes_may_stand_in_a_path(value: str) -> None:
    assert is_id(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * 65,
        "a\n",
        "\na",
        "a/b",
        "a.b",
        "..",
        "a%2fb",
        "a?b",
        "a#b",
        "a b",
        "a\\b",
        "ä",
        "\uff11",
        "a\0",
        None,
        7,
        b"a",
    ],
)
def test_anything_else_may_not(value: object) -> None:
    assert not is_id(value)


@given(value=st.text(max_size=70))
def test_no_id_leaves_its_place_in_a_path(value: str) -> None:
    assert not is_id(value) or not set(value) & set("\n\r/.\\%?#&:@ ")


MOMENT = datetime(2026, 2, 3, 10, 15, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-03T10:15:42Z", MOMENT),
        ("2026-02-03T10:15:42.1Z", MOMENT + timedelta(milliseconds=100)),
        ("2026-02-03T10:15:42.11Z", MOMENT + timedelta(milliseconds=110)),
        ("2026-02-03T10:15:42.118Z", MOMENT + timedelta(milliseconds=118)),
        ("2026-02-03T10:15:42.118", MOMENT + timedelta(milliseconds=118)),
        ("2026-02-03T12:15:42+02:00", MOMENT),
        ("2026-02-03T05:15:42-0500", MOMENT),
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=UTC)),
        ("2026-02-30T10:15:42Z", None),
        ("2026-02-03T25:15:42Z", None),
        ("2026-13-03", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday, at noon", None),
        ("", None),
        ("2026", None),
        (None, None),
        (1770113742, None),
        (["2026-02-03T10:15:42Z"], None),
    ],
)
def test_a_time_is_read_with_its_zone_or_not_at_all(text: object, expected: datetime | None) -> None:
    moment = read_time(text)

    assert moment == expected
    assert moment is None or moment.tzinfo is UTC


@given(value=st.text(max_size=40) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat))
def test_no_text_breaks_the_reading_of_time(value: str) -> None:
    moment = read_time(value)

    assert moment is None or moment.utcoffset() == timedelta(0)
