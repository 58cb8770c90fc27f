"""The table of verdicts is what the code does, for every word of the protocol, and deploy/verdicts.md shows it."""

import json
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from schemas.callbacks import kyx
from schemas.callbacks.families import netverify
from schemas.callbacks.forms import UNDERWAY
from schemas.callbacks.recognise import FORM_FAMILIES, read_callback
from schemas.callbacks.vocabulary import render, vocabulary
from schemas.report import Outcome, Report
from schemas.verdict import Row
from workers.decide import UndecidedError, decide
from workers.jumio.kyx import read_report

ROWS = list(vocabulary())
# Jumio's guides: every word that Jumio ever documented, or was seen to say.
NETVERIFY = {
    "APPROVED_VERIFIED", "DENIED_FRAUD", "DENIED_UNSUPPORTED_ID_TYPE", "DENIED_UNSUPPORTED_ID_COUNTRY",
    "ERROR_NOT_READABLE_ID", "NO_ID_UPLOADED",
}  # fmt: skip
AUTHENTICATION = {"PASSED", "FAILED", "INVALID", "EXPIRED"}
DOCUMENT = {"DONE/UPLOADED", "DONE/EXTRACTED", "DONE/DISCARDED", "DONE/NOT_AVAILABLE", "DONE", "FAILED"}
KYX = {"PROCESSED", "SESSION_EXPIRED", "TOKEN_EXPIRED"}
ON_THE_WAY = {"PENDING", "INITIATED", "ACQUISITION_STARTED", "ACQUIRED", "CREATED", "STARTED"}


def words(family: str) -> set[str]:
    return {word for row in ROWS if row.family == family for word in row.said.split(", ")}


def test_every_word_of_the_protocol_has_a_row() -> None:
    assert words("netverify") >= NETVERIFY | ON_THE_WAY
    assert words("authentication") >= AUTHENTICATION | ON_THE_WAY
    assert words("document") >= DOCUMENT | ON_THE_WAY
    assert words("kyx") >= KYX | {"INITIATED", "ACQUISITION_STARTED", "ACQUIRED"}
    assert {row.besides for row in ROWS if row.said == "PROCESSED"} >= {
        f"decision {word}" for word in ("PASSED", "REJECTED", "WARNING", "NOT_EXECUTED")
    }
    pairs = product(("MATCH", "NO_MATCH", "NOT_MATCH", "NOT_POSSIBLE"), ("true", "false"))
    assert {row.besides for row in ROWS if row.family == "netverify"} >= {
        f"similarity {similarity}, validity {validity}" for similarity, validity in pairs
    }
    assert {row.family for row in ROWS} == {"kyx", *(family.NAME for family in FORM_FAMILIES)}


def test_no_word_has_two_rows() -> None:
    assert len({(row.family, row.said, row.besides) for row in ROWS}) == len(ROWS)


def test_only_what_was_verified_is_passed() -> None:
    assert {(row.family, row.said, row.besides) for row in ROWS if row.outcome == "passed"} == {
        ("kyx", "PROCESSED", "decision PASSED"),
        ("netverify", "APPROVED_VERIFIED", "person check off (absent or {})"),
        ("netverify", "APPROVED_VERIFIED", "similarity MATCH, validity true"),
        ("authentication", "PASSED", ""),
    }


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.family != "kyx"], ids=lambda row: f"{row.said}-{row.besides}"
)
def test_a_row_is_what_the_code_does(row: Row) -> None:
    for word in row.said.split(", "):
        status = "SOMETHING_NEW" if word == "any other word" else word
        for report in READERS[row.family](status, row.besides):
            assert concluded(report) == row.outcome
            if row.outcome:
                assert decide(report).label == report.status


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.family == "kyx"], ids=lambda row: f"{row.said}-{row.besides}"
)
def test_a_row_of_the_present_generation_is_what_the_code_does(row: Row) -> None:
    for word in row.said.split(", "):
        status = "SOMETHING_NEW" if word == "any other word" else word
        for members in kyx_members(row.besides):
            details = {"workflow": {"id": "w-1", "status": status}, "account": {"id": "a-1"}} | members
            report = read_report(json.dumps(details).encode(), None, account_id="a-1", workflow_key="w-1")

            assert concluded(report) == row.outcome
            assert (kyx.stage(status) == "final") is (row.outcome is not None)


def test_the_document_for_operators_shows_the_table() -> None:
    shown = Path("deploy/verdicts.md").read_text()

    assert shown == render(), "run: python -m schemas.callbacks.vocabulary > deploy/verdicts.md"


def concluded(report: Report) -> Outcome | None:
    try:
        return decide(report).outcome
    except UndecidedError:
        return None


# Whatever is not known to consent.
OBJECTING = ("NO", "no", "FALSE", "PENDING", "DENIED", "ERROR", "NO_MATCH", "SOMETHING_NEW")


def netverify_reports(status: str, besides: str) -> list[Report]:
    if besides.startswith("status that"):
        # Only the retrieval API has it, and only what is not on the way is final.
        return [scanned(word, status) for word in ("FAILED", "NO", "SOMETHING_NEW")]
    return [
        told(
            callBackType="NETVERIFYID",
            jumioIdScanReference="r-1",
            verificationStatus=status,
            **{name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()},
        )
        for members in netverify_members(besides)
    ]


def netverify_members(besides: str) -> list[dict[str, Any]]:
    if besides.startswith("similarity "):
        similarity, _, validity = besides.removeprefix("similarity ").partition(", validity ")
        alike = (
            [{}, {"similarity": "SOME"}, {"similarity": None}]
            if "other" in similarity
            else [{"similarity": similarity}]
        )
        alive = [{}, {"validity": "MAYBE"}, {"validity": 1}]
        if "other" not in validity:
            alive = [{"validity": validity}, {"validity": validity.upper()}, {"validity": validity == "true"}]
        # Neither of them is no person check at all.
        return [{"identityVerification": one | other} for one, other in product(alike, alive) if one | other]
    if besides.startswith("person check off"):
        return [{}, *({"identityVerification": nothing} for nothing in ({}, None, "", "N/A", []))]
    if besides.startswith("an additional check"):
        checks = (
            {"watchlistScreening": {"searchStatus": "DONE", "searchResults": 1}},
            {"watchlistScreening": {"searchStatus": "ERROR"}},
            {"watchlistScreening": {"searchStatus": "SUCCESS", "searchResults": "many"}},
            {"addressValidation": {"searchResults": "NEGATIVE_RESULT"}},
            {"proofOfResidency": [{"searchResults": "PARTIAL_RESULT"}]},
            {"faceSearchFindings": {"status": "DONE", "findings": "r-2"}},
            {"faceSearchFindings": {"status": "DONE", "findings": ["r-2", "r-3"]}},
            {"somethingNew": {"searchResults": "GOOD"}},
            {"watchlistScreening": "ALERT"},
            {"watchlistScreening": [{"searchStatus": "DONE", "searchResults": 0}, "ALERT"]},
            {"watchlistScreening": True},
            "not an object",
        )
        return [{"additionalChecks": check} for check in checks]
    members, words = besides.removesuffix(" alone").split(" or "), ("MATCH", "98.5")
    if " that is none of " in besides:
        members, words = [besides.split(maxsplit=1)[0]], (*OBJECTING, {"object": 1})
    if besides.endswith(" alone") or " that is none of " in besides:
        return [{member: word} for member in members for word in words]
    if besides:
        return [{"rejectReason": {"rejectReasonCode": "100"}}, {"rejectReason": "{"}]
    return [{}, {"identityVerification": {"similarity": "MATCH", "validity": True}}]


def scanned(ended: str, status: str) -> Report:
    documents = {"status": {"status": ended}, "data": {"document": {"status": status}}}
    return netverify.report({name: json.dumps(shown).encode() for name, shown in documents.items()}, "r-1")


def authentication_reports(status: str, besides: str) -> list[Report]:
    objections: list[dict[str, str]] = [{"rejectReason": "{}x"}, {"similarityDecision": "NO_MATCH"}]
    objections += [{"idFaceLiveness": word} for word in OBJECTING]
    objections += [{"identityVerification": json.dumps({"similarity": "NO_MATCH", "validity": True})}]
    return [
        told(callBackType="NETVERIFY_AUTHENTICATION", transactionReference="r-1", transactionResult=status, **each)
        for each in (objections if besides else [{}])
    ]


def document_reports(status: str, besides: str) -> list[Report]:
    ended, _, word = status.partition("/")
    words = ["UPLOADED", "SOMETHING", ""] if besides else [word]
    return [
        told(
            scanReference="r-1",
            timestamp="2026-01-01",
            transaction=json.dumps({"status": ended}),
            document=json.dumps({"status": each} if each else {}),
        )
        for each in words
    ]


READERS = {"netverify": netverify_reports, "authentication": authentication_reports, "document": document_reports}


def told(**fields: str) -> Report:
    report = read_callback(urlencode(fields, quote_via=quote).encode()).told
    assert report is not None
    return report


def kyx_members(besides: str) -> list[dict[str, Any]]:
    checks = {"rejected": ["REJECTED", "PASSED"], "other checks": ["PASSED", "WARNING"], "nothing": ["NOT_EXECUTED"]}
    for what, kinds in checks.items():
        if besides.startswith("no decision") and what in besides:
            return [{"capabilities": {"liveness": [{"decision": {"type": kind}} for kind in kinds]}}]
    if besides.startswith("any decision") or not besides:
        return [{}, *({"decision": {"type": word}} for word in (*kyx.OUTCOMES, "SOMETHING_NEW"))]
    if ", labelled " in besides:
        labels = besides.partition(", labelled ")[2].split(", ")
        return [{"decision": {"type": "PASSED", "details": {"label": label}}} for label in labels]
    word = "SOMETHING_NEW" if "other" in besides else besides.removeprefix("decision ")
    return [{"decision": {"type": word, "details": {"label": "PASSED"}}}]


@pytest.mark.parametrize(
    "check",
    [
        {"watchlistScreening": {"searchStatus": "DONE", "searchResults": "0"}},
        {"watchlistScreening": {"searchStatus": "SUCCESS", "searchResults": 0}},
        {"watchlistScreening": {"searchStatus": "NOT_DONE"}},
        {"addressValidation": {"searchResults": "POSITIVE_RESULT"}},
        {"addressValidation": {"searchResults": "CHECK_NOT_DONE", "searchResponse": "NOT_ENOUGH_DATA"}},
        {"faceSearchFindings": {"status": "DONE"}},
        {"faceSearchFindings": {"status": "PENDING"}},
        {"faceSearchFindings": {"status": "ERROR"}},
    ],
    ids=str,
)
def test_an_additional_check_without_a_hit_takes_nothing_away(check: dict[str, Any]) -> None:
    [report] = [
        told(
            callBackType="NETVERIFYID",
            jumioIdScanReference="r-1",
            verificationStatus="APPROVED_VERIFIED",
            additionalChecks=json.dumps(check),
        )
    ]

    assert decide(report).outcome == "passed"
    assert report.provisional is ("PENDING" in str(check))
    assert report.oddities == ()


def test_the_statuses_on_the_way_are_those_of_the_protocol() -> None:
    assert UNDERWAY == ON_THE_WAY
