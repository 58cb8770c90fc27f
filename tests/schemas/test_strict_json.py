"""JSON that other readers would see differently is refused, by a code, without a word of the document."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.callbacks.strict_json import read_json
from tests.json_suite import json_suite

PLANTED = "PLANTED-7431"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, mark=st.sampled_from([b"", b"\xef\xbb\xbf"]), plain=st.booleans())
def test_json_is_read_as_it_is(value: Any, mark: bytes, plain: bool) -> None:  # noqa: FBT001 - a case
    assert read_json(mark + json.dumps(value, ensure_ascii=plain).encode()) == value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "json"),
        (b'{"a": "PLANTED-7431', "json"),
        (b'{"a": "PLANTED-7431",}', "json"),
        (b'{"a": "PLANTED-7431"} {}', "json"),
        (b"{'a': 'PLANTED-7431'}", "json"),
        (b'{"a": "PLANTED-7431" /* why */}', "json"),
        (b'{"a": "PLANTED-7431\n"}', "json"),
        (b'{"a": "PLANTED-7431\0"}', "json"),
        (b'{"a": 01, "b": "PLANTED-7431"}', "json"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "json"),
        (b'{"a": "PLANTED-7431\xff"}', "encoding"),
        (b'{"a": "PLANTED-7431\xc0\xaf"}', "encoding"),
        (b'{"a": "PLANTED-7431\xed\xa0\x80"}', "encoding"),
        ('{"a": "PLANTED-7431"}'.encode("utf-16"), "encoding"),
        (b'{"PLANTED-7431": NaN}', "number"),
        (b'{"PLANTED-7431": Infinity}', "number"),
        (b'{"PLANTED-7431": -Infinity}', "number"),
        (b'{"PLANTED-7431": 1e999}', "number"),
        (b'{"PLANTED-7431": -1e999}', "number"),
        (b'{"PLANTED-7431": ' + b"7" * 5000 + b"}", "number"),
        (b'{"PLANTED-7431": 1, "PLANTED-7431": 1}', "duplicate_keys"),
        (b'[{"b": {"PLANTED-7431": 1, "\\u0050LANTED-7431": 2}}]', "duplicate_keys"),
        (b'{"PLANTED-7431\\u0000": 1}', "nul_character"),
        (b'{"a": [["PLANTED-7431\\u0000"]]}', "nul_character"),
        (b'{"a":' * 50_000, "depth"),
        (b"[" * 100_000 + b"]" * 100_000, "depth"),
    ],
)
def test_what_is_not_strict_json_is_refused_by_a_code(body: bytes, code: str) -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_json(body)

    assert caught.value.code == code
    assert str(caught.value).startswith(f"{code}: ")
    assert PLANTED not in str(caught.value)
    assert "7777" not in str(caught.value)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert read_json(b'{"a": "\\\\u0000"}') == {"a": "\\u0000"}


# Valid, and yet what two readers would see differently, or no text column takes.
STRICTER = {
    "y_object_duplicated_key": "duplicate_keys",
    "y_object_duplicated_key_and_value": "duplicate_keys",
    "y_object_escaped_null_in_key": "nul_character",
    "y_string_null_escape": "nul_character",
}


def test_the_whole_of_jsontestsuite_is_read_or_refused_as_it_says() -> None:
    codes = {name: _code(body) for name, body in json_suite().items()}

    assert len(codes) == 318
    assert {name: code for name, code in codes.items() if name.startswith("y_") and code} == STRICTER
    assert {code for name, code in codes.items() if name.startswith("n_")} == {"json", "encoding", "number", "depth"}
    assert {code for name, code in codes.items() if name.startswith("i_")} == {None, "encoding", "number"}


def _code(body: bytes) -> str | None:
    try:
        read_json(body)
    except UnreadableCallbackError as error:
        return error.code
    return None


@given(body=st.binary(max_size=300) | st.text('{}[]",:0123456789eE+-.\\untrfalsNI ', max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert _code(body) in {None, "encoding", "json", "depth", "number", "duplicate_keys", "nul_character"}


@pytest.mark.parametrize("depth", [300, 480, 600, 900])
def test_a_nul_is_found_however_deep(depth: int) -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_json(b"[" * depth + b'"\\u0000"' + b"]" * depth)

    assert caught.value.code in {"nul_character", "depth"}


def test_half_a_surrogate_pair_is_refused_because_no_text_column_takes_it() -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_json(b'{"status": "\\ud800"}')

    assert caught.value.code == "encoding"
    assert read_json(b'{"status": "\\ud83d\\ude00"}') == {"status": "\N{GRINNING FACE}"}
