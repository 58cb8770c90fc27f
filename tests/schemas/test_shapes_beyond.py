"""Shapes that follow the rules behind the fixtures, and are in none of them."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.callbacks.families import authentication, document, netverify
from schemas.callbacks.recognise import read_callback
from schemas.report import Detail, Outcome, Reason, Report
from workers.decide import CONTRADICTION, decide, reconcile

APPROVED = {
    "callBackType": "NETVERIFYID",
    "jumioIdScanReference": "r-1",
    "verificationStatus": "APPROVED_VERIFIED",
    "callbackDate": "2026-01-01T00:00:00Z",
}
GOOD = {"similarity": "MATCH", "validity": "true"}
BAD = {"similarity": "NO_MATCH", "validity": "true"}


def told(**fields: Any) -> Report:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    report = read_callback(urlencode(texts, quote_via=quote).encode()).told
    assert report is not None
    return report


def scan(data: dict[str, Any], images: dict[str, Any] | None = None) -> Report:
    whole = {"document": {"status": "APPROVED_VERIFIED"}, "transaction": {"status": "DONE"}} | data
    documents = {"status": {"status": "DONE"}, "data": whole, "images": images or {}}
    return netverify.report({name: json.dumps(shown).encode() for name, shown in documents.items()}, "r-1")


def paper(state: str, data: dict[str, Any]) -> Report:
    documents = {"status": {"status": state}, "data": data}
    return document.report({name: json.dumps(shown).encode() for name, shown in documents.items()}, "r-1")


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        ({"verification": [{"mrzCheck": "OK", "identityVerification": GOOD}]}, "passed"),
        ({"verification": [{"mrzCheck": "OK", "identityVerification": BAD}]}, "rejected"),
        ({"verification": [{"identityVerification": GOOD}, {"identityVerification": BAD}]}, "warning"),
        ({"document": {"status": "APPROVED_VERIFIED", "verification": {"identityVerification": BAD}}}, "rejected"),
        ({"more": [{"IdentityVerification": BAD}]}, "rejected"),
        ({"verification": {"identityVerification": GOOD}, "more": {"identityVerification": GOOD}}, "passed"),
        ({"verification": {"faceMatch": "98.5"}}, "warning"),
        ({"verification": {"identityVerification": GOOD, "faceMatch": "98.5"}}, "passed"),
    ],
)
def test_what_is_said_of_the_person_is_read_wherever_it_is(data: dict[str, Any], outcome: Outcome) -> None:
    assert decide(scan(data)).outcome == outcome


@pytest.mark.parametrize(
    "said",
    [
        {"rejectReasonCode": 100},
        {"rejectReasonDescription": "Manipulated document "},
        {"rejectReasonCode": " 100", "rejectReasonDescription": "manipulated_document"},
        [{"rejectReasonCode": "100", "rejectReasonDescription": "MANIPULATED_DOCUMENT", "rejectReasonDetails": []}],
    ],
)
@pytest.mark.parametrize(
    "details",
    [
        [{"detailsCode": 1002}, {"detailsCode": " 1001", "detailsDescription": "photo"}],
        [{"detailsDescription": "PHOTO"}, {"detailsCode": "1002", "detailsDescription": "DOCUMENT_NUMBER"}],
    ],
)
def test_a_reason_has_one_spelling(said: Any, details: Any) -> None:
    [entry] = said if isinstance(said, list) else [said]

    report = told(
        **APPROVED | {"verificationStatus": "DENIED_FRAUD", "rejectReason": entry | {"rejectReasonDetails": details}}
    )

    known = (Detail("1001", "PHOTO"), Detail("1002", "DOCUMENT_NUMBER"))
    assert report.reasons == (Reason("document", "MANIPULATED_DOCUMENT", "100", known),)
    assert report.oddities == ()


def test_a_reason_that_is_new_is_kept_and_noted() -> None:
    new = {"rejectReasonCode": "199", "rejectReasonDescription": "NEW", "rejectReasonDetails": {"detailsCode": "1099"}}

    report = told(**APPROVED | {"verificationStatus": "DENIED_FRAUD", "rejectReason": new})

    assert report.reasons == (Reason("document", "NEW", "199", (Detail("1099", ""),)),)
    assert report.oddities == ("unknown_word:rejectReasonCode", "unknown_word:detailsCode")


@pytest.mark.parametrize("word", ["pending", "Pending ", "initiated", "acquired"])
def test_a_word_for_not_done_is_no_verdict_in_any_case(word: str) -> None:
    reports = [
        told(**APPROVED | {"verificationStatus": word}),
        told(callBackType="NETVERIFY_AUTHENTICATION", transactionReference="r-1", transactionResult=word),
        told(
            scanReference="r-1", timestamp="2026-01-01", transaction={"status": word}, document={"status": "UPLOADED"}
        ),
        paper(word, {"transaction": {"status": "DONE"}, "document": {"status": "EXTRACTED"}}),
    ]

    assert [report.final for report in reports] == [False] * 4
    assert [report.oddities for report in reports[:3]] == [()] * 3


def test_a_paper_underway_is_nothing_new() -> None:
    body = urlencode(
        {
            "scanReference": "r-1",
            "timestamp": "2026-01-01",
            "transaction": '{"status": "PENDING"}',
            "document": '{"status": "UPLOADED"}',
        }
    )

    assert read_callback(body.encode()).stage == "underway"


@pytest.mark.parametrize(
    "data",
    [
        {"transaction": {"status": "DONE"}, "document": {"status": "EXTRACTED"}},
        {"document": {"status": "EXTRACTED"}},
    ],
)
def test_a_callback_that_leaves_out_the_word_on_the_document_is_completed(data: dict[str, Any]) -> None:
    rung = told(scanReference="r-1", timestamp="2026-01-01T00:00:00Z", transaction={"status": "DONE"})

    verdict = reconcile(rung, paper("DONE", data))

    assert (verdict.outcome, verdict.label) == ("not_executed", "DONE/EXTRACTED")


def test_two_words_on_one_document_contradict_each_other() -> None:
    rung = told(
        scanReference="r-1", timestamp="2026-01-01", transaction={"status": "DONE"}, document={"status": "DISCARDED"}
    )

    assert reconcile(rung, paper("DONE", {"document": {"status": "EXTRACTED"}})).label == CONTRADICTION


@pytest.mark.parametrize(
    "images",
    [
        {"images": ["https://x/scans/r-1/images/front", {"href": "https://x/scans/r-1/images/liveness/2"}]},
        {
            "images": [
                {"classifier": "front", "href": "h"},
                {"classifier": "liveness", "href": "https://x/images/liveness/2"},
            ]
        },
        {"images": {"classifier": "FRONT", "href": "h"}, "livenessImages": "https://x/images/liveness/2?a=1"},
        {
            "images": {"classifier": "front", "href": "h"},
            "livenessImages": {"classifier": "2", "href": "https://x/liveness/2"},
        },
    ],
)
def test_a_series_is_downloaded_by_its_numbers_wherever_it_is_listed(images: dict[str, Any]) -> None:
    report = scan({}, images)
    shown = {"transactionReference": "t-1", "transactionResult": "PASSED"} | {
        name: json.loads(json.dumps(value).replace("front", "face").replace("FRONT", "FACE"))
        for name, value in images.items()
    }
    face = authentication.report({"authentication": json.dumps(shown).encode()}, "t-1")

    assert [(part.category, part.classifier) for part in report.parts] == [("ID", "FRONT"), ("FACEMAP", "LIVENESS_2")]
    assert [(part.category, part.classifier) for part in face.parts] == [("SELFIE", "FACE"), ("FACEMAP", "LIVENESS_2")]
    assert report.oddities == ("no_id:scanReference",)


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ({"gender": "Q"}, "gender"),
        ({"idScanSource": "FAX"}, "idScanSource"),
        ({"dlCarPermission": "MAYBE"}, "dlCarPermission"),
        ({"presetIdType": "LIBRARY_CARD"}, "presetIdType"),
    ],
)
def test_a_new_word_of_a_known_list_is_noted_without_the_word(fields: dict[str, str], member: str) -> None:
    assert told(**APPROVED | fields).oddities == (f"unknown_word:{member}",)
    assert told(**APPROVED | {"gender": "X", "idScanSource": "WEB-CAM", "dlCarPermission": "N/A"}).oddities == ()


def test_a_new_word_in_an_answer_is_noted_too() -> None:
    report = scan({"document": {"status": "APPROVED_VERIFIED", "gender": "Q"}, "transaction": {"source": "FAX"}})

    assert {"unknown_word:gender", "unknown_word:source"} <= set(report.oddities)


@pytest.mark.parametrize(
    ("document_sent", "family"),
    [
        (APPROVED | {"identityVerification": GOOD, "livenessImages": ["https://x/liveness/1"]}, "netverify"),
        (
            {"callBackType": "netverify_authentication", "transactionReference": "t", "transactionResult": "PASSED"},
            "authentication",
        ),
        (
            {
                "scanReference": "s",
                "timestamp": "t",
                "transaction": {"status": "DONE"},
                "document": {"status": "EXTRACTED"},
            },
            "document",
        ),
    ],
)
def test_an_older_callback_that_comes_as_json_is_read_as_its_form_is(
    document_sent: dict[str, Any], family: str
) -> None:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in document_sent.items()}

    as_json = read_callback(json.dumps(document_sent | {"customerId": None}).encode())
    as_form = read_callback(urlencode(texts).encode())

    assert as_json.family == as_form.family == family
    assert as_json.told is not None
    assert as_form.told is not None
    assert (decide(as_json.told), as_json.told.parts) == (decide(as_form.told), as_form.told.parts)


@pytest.mark.parametrize("twice", ['"verificationStatus": "A", "VerificationStatus": "B"', '"a": 1, "a": 2'])
def test_json_that_says_two_things_is_parked(twice: str) -> None:
    with pytest.raises(UnreadableCallbackError) as raised:
        read_callback(f'{{"callBackType": "NETVERIFYID", "jumioIdScanReference": "r", {twice}}}'.encode())

    assert raised.value.code == "duplicate_keys"


@pytest.mark.parametrize("body", [b"callBackType=NETVERIFY_NEW&x=1", b'{"callBackType": "NETVERIFY_NEW"}'])
def test_a_new_family_is_named(body: bytes) -> None:
    with pytest.raises(UnreadableCallbackError) as raised:
        read_callback(body)

    assert raised.value.oddities == ("unreadable:family", "unknown_family:NETVERIFY_NEW")


@pytest.mark.parametrize("kind", ["Erika Mustermann", "erika@example.org", "x" * 65, "X" * 65])
def test_what_is_no_word_of_jumios_is_not_named(kind: str) -> None:
    with pytest.raises(UnreadableCallbackError) as raised:
        read_callback(urlencode({"callBackType": kind, "x": "1"}).encode())

    assert raised.value.oddities == ("unreadable:family",)
    assert kind not in str(raised.value)
