"""bytes -> form: what is tolerated, and what is parked for which reason."""

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.callbacks.forms import LONGEST_VALUE, MOST_FIELDS, Fields, as_object, raw_form, read_form
from schemas.callbacks.lenient import Reader
from schemas.callbacks.recognise import read_callback

PLANTED = "PLANTED-7431"
START = b"callBackType=NETVERIFYID&jumioIdScanReference=r-1&verificationStatus=NO_ID_UPLOADED"
KYX = {"workflowExecution": {"id": "w-1", "status": "PROCESSED"}, "account": {"id": "a-1"}, "note": "a & b = c + d"}
KYX_TEXT = json.dumps(KYX)


def form(body: bytes) -> dict[str, tuple[str, ...]]:
    return dict(read_form(body))


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"a=1+2&b=1%202&c=1%2B2", {"a": ("1 2",), "b": ("1 2",), "c": ("1+2",)}),
        (b"a", {"a": ("",)}),
        (b"a=", {"a": ("",)}),
        (b"=1", {"": ("1",)}),
        (b"a=1;b=2", {"a": ("1;b=2",)}),
        (b"a[b]=1&a.c=2", {"a[b]": ("1",), "a.c": ("2",)}),
        (b"a=b=c&&&", {"a": ("b=c",)}),
        (b"a=1\r\n", {"a": ("1",)}),
        (b"a=%C3%84%e5%A4%A7", {"a": ("\u00c4\u5927",)}),
        ("a=\u00c4".encode(), {"a": ("\u00c4",)}),
        (b"a=A%00B", {"a": ("A\0B",)}),
        (b"ABc=1", {"abc": ("1",)}),
        (b"callBackType=X&callbackType=X", {"callbacktype": ("X",)}),
        ("\u212aelvin=1".encode(), {"\u212aelvin": ("1",)}),
        (b"livenessImages=u1&livenessImages=u2&livenessImages=u1", {"livenessimages": ("u1", "u2")}),
        (b'a={"b": 1}&c=[{}]', {"a": ('{"b": 1}',), "c": ("[{}]",)}),
        (b"", {}),
    ],
)
def test_what_a_form_says(body: bytes, fields: dict[str, tuple[str, ...]]) -> None:
    assert form(body) == fields


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"a=%zz", "form"),
        (b"a=1%", "form"),
        (b"a=%4", "form"),
        (b"%=1", "form"),
        (b'a=PLANTED-7431{"workflowExecution": {}}', "form"),
        (b"a=%E4", "encoding"),
        (b"a=\xe4", "encoding"),
        (b"a=%ED%A0%80", "encoding"),
        (b"a=PLANTED-7431&A=PLANTED", "duplicate_keys"),
        (b"a=&a=1", "duplicate_keys"),
        (b"&".join(b"f%d=1" % number for number in range(MOST_FIELDS + 1)), "shape"),
        (b"&" * 1_000_000, "shape"),
        (b"a=" + b"x" * (LONGEST_VALUE + 1), "size"),
        (b"a=" + b"%41" * (LONGEST_VALUE + 1), "size"),
    ],
)
def test_what_is_no_form_is_parked_with_its_reason(body: bytes, code: str) -> None:
    for prefix in (b"", START + b"&"):
        with pytest.raises(UnreadableCallbackError) as caught:
            read_callback(prefix + body)

        assert caught.value.code == code
        assert "PLANTED" not in f"{caught.value!r}{caught.value}"
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_as_many_and_as_long_fields_as_allowed_are_read() -> None:
    body = b"&".join(b"f%d=1" % number for number in range(MOST_FIELDS - 1)) + b"&x=" + b"%41" * LONGEST_VALUE

    fields = read_form(body)

    assert len(fields) == MOST_FIELDS
    assert fields["x"] == ("A" * LONGEST_VALUE,)


def test_the_raw_text_has_the_names_as_they_were_spelt() -> None:
    fields = read_form(b"idCheckMRZCode=N%2FA&livenessImages=b&livenessImages=a&x=%00")

    assert json.loads(raw_form(fields)) == {
        "callback": {"idCheckMRZCode": "N/A", "livenessImages": ["b", "a"], "x": "\0"}
    }


@pytest.mark.parametrize(
    ("text", "value", "oddities"),
    [
        ('{"a": " 1"}', {"a": " 1"}, ()),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}, ()),
        ("[1]", [1], ()),
        ("", None, ()),
        (" N/A ", None, ()),
        ("null", None, ()),
        ('{"a": ', '{"a": ', ("embedded_json:rejectReason",)),
        ('{"a": 1, "a": 2}', '{"a": 1, "a": 2}', ("embedded_json:rejectReason",)),
        ('{"a": NaN}', '{"a": NaN}', ("embedded_json:rejectReason",)),
        ("[" * 100_000, "[" * 100_000, ("embedded_json:rejectReason",)),
        (PLANTED, PLANTED, ("embedded_json:rejectReason",)),
    ],
)
def test_json_inside_of_a_field_is_read_or_kept_as_it_is(text: str, value: Any, oddities: tuple[str, ...]) -> None:
    reader = Reader()
    fields = read_form(f"rejectreason={quote(text)}&other={PLANTED}".encode())

    found = as_object(fields, reader, fields=("rejectReason", "other"), embedded={"rejectReason": {"a": None}})

    assert found == {"rejectReason": value, "other": PLANTED}
    assert reader.oddities == oddities


@pytest.mark.parametrize(
    ("body", "images"),
    [
        (b"livenessImages=u1&livenessImages=u2", ["u1", "u2"]),
        (b'livenessImages=["u1","u2"]&livenessImages=u3', ["u1", "u2", "u3"]),
        (b"livenessImages=", []),
        (b'livenessImages={"href":"u1"}', [{"href": "u1"}]),
    ],
)
def test_liveness_images_are_one_list_however_they_come(body: bytes, images: list[Any]) -> None:
    found = as_object(read_form(body), Reader(), fields=("livenessImages",), embedded={})

    assert found == {"livenessImages": images}


def test_a_text_that_only_looks_like_json_stays_a_text() -> None:
    found = as_object(read_form(b"idLastName=[1]"), Reader(), fields=("idLastName",), embedded={})

    assert found == {"idLastName": "[1]"}


def test_unknown_fields_are_noted_by_name_and_never_by_value() -> None:
    reader = Reader()

    as_object(read_form(b"newField=PLANTED-7431&O%27Connell=1"), reader, fields=(), embedded={})

    assert reader.oddities == ("unknown_field:newField", "unknown_field:?")


@pytest.mark.parametrize(
    "body",
    [
        KYX_TEXT,
        f"\ufeff{KYX_TEXT}",
        quote(KYX_TEXT, safe=""),
        quote_plus(KYX_TEXT),
        quote_plus(KYX_TEXT) + "=",
        f"payload={quote_plus(KYX_TEXT)}",
        f"={quote(KYX_TEXT)}\n",
        quote_plus(json.dumps(KYX, indent=2)),
        "&".join(f"{name}={quote_plus(json.dumps(KYX[name]))}" for name in ("account", "workflowExecution")),
        f"WorkflowExecution={quote(json.dumps(KYX['workflowExecution']))}&account={quote(json.dumps(KYX['account']))}",
    ],
)
def test_the_present_generation_is_read_as_a_form_too(body: str) -> None:
    callback = read_callback(body.encode())

    assert (callback.family, callback.workflow_key, callback.account_id) == ("kyx", "w-1", "a-1")
    assert (callback.status, callback.told) == ("PROCESSED", None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("%7B%22workflowExecution%22", "json"),
        ("payload=%7B%7D", "family"),
        ("payload=%5B%5D", "family"),
        ("a=1&b=" + quote('{"a": 1}'), "family"),
        ("account=%7B%22id%22:%22a%22%7D&workflowExecution=x", "shape"),
        ("account=%7B%22id%22:%22a%22,%22id%22:%22b%22%7D&workflowExecution=x", "duplicate_keys"),
        ("<html>Bad gateway</html>", "family"),
        ("callBackType=SOMETHING_NEW&jumioIdScanReference=r-1&verificationStatus=APPROVED_VERIFIED", "family"),
        ("scanReference=r-1&transaction=%7B%7D", "family"),
    ],
)
def test_other_forms_are_parked(body: str, code: str) -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_callback(body.encode())

    assert caught.value.code == code


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)


@given(st.dictionaries(NAMES.filter(str.isascii).map(str.lower), NAMES, max_size=6), st.booleans())
def test_what_is_encoded_is_decoded(fields: dict[str, str], blanks_as_plus: bool) -> None:  # noqa: FBT001 - drawn
    encode = quote_plus if blanks_as_plus else quote
    body = "&".join(f"{encode(name, safe='')}={encode(value, safe='')}" for name, value in fields.items())

    found = read_form(body.encode())

    assert found == {name: (value,) for name, value in fields.items()}
    assert isinstance(found, Fields)


@pytest.mark.parametrize(
    "body",
    [
        " \r\n" + KYX_TEXT,
        "payload=+" + KYX_TEXT.replace("&", "%26"),
        "a=1&b=" + quote(KYX_TEXT),
        quote(KYX_TEXT) + "=&source=jumio",
        "workflowExecution[id]=w-1&workflowExecution[status]=PROCESSED&account[id]=a-1",
        "WorkflowExecution.Id=w-1&workflowExecution.status=PROCESSED&account.id=a-1",
    ],
)
def test_a_kyx_callback_in_the_shape_of_a_form_is_read(body: str) -> None:
    callback = read_callback(body.encode())

    assert (callback.family, callback.status) == ("kyx", "PROCESSED")


@pytest.mark.parametrize(
    ("fields", "classifiers"),
    [
        ("livenessImages[]=https://x/1&livenessImages[]=https://x/2", ["LIVENESS_1", "LIVENESS_2"]),
        ("livenessImages[0]=https://x/1&livenessImages[1]=https://x/2", ["LIVENESS_1", "LIVENESS_2"]),
        ("idScanImage=https://x/front&idScanImage=https://y/front", ["FRONT"]),
        ("livenessImages=x/a&livenessImages=x/1&livenessImages=x/b", ["LIVENESS_1", "LIVENESS_2", "LIVENESS_3"]),
    ],
)  # fmt: skip
def test_images_come_in_many_ways_and_none_covers_another(fields: str, classifiers: list[str]) -> None:
    told = read_callback(f"{NETVERIFY_START}&{fields}".encode()).told

    assert told is not None
    assert [part.classifier for part in told.parts] == classifiers


NETVERIFY_START = "jumioIdScanReference=r-1&verificationStatus=APPROVED_VERIFIED"


def test_a_blank_type_is_none() -> None:
    assert read_callback(f"callBackType=+&{NETVERIFY_START}".encode()).family == "netverify"


@pytest.mark.parametrize("name", ["jumioIdScanReference", "verificationStatus", "idLastName"])
def test_what_matters_cannot_say_two_things(name: str) -> None:
    with pytest.raises(UnreadableCallbackError) as raised:
        read_callback(f"{NETVERIFY_START}&{name}=a&{name}=b".encode())

    assert raised.value.code == "duplicate_keys"
