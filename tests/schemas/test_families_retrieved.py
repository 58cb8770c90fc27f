"""What retrieval API v2 answers is read, and agrees with what the callback told, or is for a person."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.callbacks.families import authentication, document, netverify
from schemas.callbacks.lenient import ForeignAnswerError, UnreadableAnswerError
from schemas.callbacks.recognise import FORM_FAMILIES
from schemas.report import Detail, Identity, Reason
from tests.schemas.told import DOCUMENT_KEY, KEY, authenticated, body, papers, scan, told
from workers.decide import CONTRADICTION, UndecidedError, decide, reconcile


def test_a_scan_is_read_from_its_answers() -> None:
    report, before = scan(), told("netverifyid/approved_passport")

    assert (report.status, report.final, report.oddities) == ("APPROVED_VERIFIED", True, ())
    assert report.checks == before.checks
    assert report.identities == before.identities
    assert (report.user_reference, report.customer_reference) == (before.user_reference, before.customer_reference)
    assert (report.started_at, report.said_at) == (before.started_at, None)
    assert [part.classifier for part in report.parts] == ["BACK", "FACEMAP", "FRONT", "LIVENESS_1", "LIVENESS_2"]
    assert json.loads(report.raw).keys() == {"status", "data", "images"}


def test_what_was_told_and_confirmed_is_one_verdict() -> None:
    for before, after in (
        (told("netverifyid/approved_passport"), scan()),
        (told("authentication/passed"), authenticated()),
        (told("document/extracted_bank_statement"), papers()),
    ):
        verdict = reconcile(before, after)

        assert verdict.outcome == decide(before).outcome
        assert (verdict.label, verdict.rests_on) == (before.status, "retrieval")


def test_a_correction_counts() -> None:
    corrected = scan(data="denied_updated")

    verdict = reconcile(told("netverifyid/approved_passport"), corrected)

    assert corrected.said_at == datetime(2026, 1, 13, 20, 12, 32, 234000, UTC)
    assert (verdict.outcome, verdict.label) == ("rejected", "DENIED_FRAUD")
    assert verdict.reasons == (Reason("document", "MANIPULATED_DOCUMENT", "100", (Detail("1002", "DOCUMENT_NUMBER"),)),)


def test_a_contradiction_is_for_a_person() -> None:
    before = told("netverifyid/approved_passport")
    for said_at in (None, before.said_at):
        verdict = reconcile(before, replace(scan(data="denied_updated"), said_at=said_at))

        assert (verdict.outcome, verdict.label) == ("warning", CONTRADICTION)
        assert verdict.reasons == (
            Reason("callback", "APPROVED_VERIFIED"),
            Reason("retrieval", "DENIED_FRAUD"),
            Reason("difference", "OUTCOME"),
            Reason("difference", "STATUS"),
        )


@pytest.mark.parametrize("status", ["PENDING", "INITIATED", "ACQUIRED"])
def test_a_pending_scan_is_no_verdict_whatever_its_data_say(status: str) -> None:
    for data in (None, body("retrieval/legacy/scan_data_approved.json")):
        documents = {"status": json.dumps({"status": status}).encode(), "data": data, "images": None}
        report = netverify.report(documents, KEY)

        assert (report.status, report.final, report.checks, report.decision) == (status, False, (), None)
        with pytest.raises(UndecidedError):
            reconcile(told("netverifyid/approved_passport"), report)


@pytest.mark.parametrize("status", ["DONE", "FAILED", "PROCESSED", "SOMETHING_NEW", None])
def test_a_scan_that_ended_without_data_is_no_report_yet(status: str | None) -> None:
    for data in (None, b"{}", b'{"document": null}'):
        with pytest.raises(UnreadableAnswerError):
            netverify.report({"status": json.dumps({"status": status}).encode(), "data": data, "images": None}, KEY)


@pytest.mark.parametrize("family", FORM_FAMILIES, ids=lambda family: family.NAME)
def test_an_answer_about_another_transaction_is_refused(family: Any) -> None:
    for broken, error in ((b'{"%s": "other"}', ForeignAnswerError), (b"[]", UnreadableAnswerError)):
        member = b"transactionReference" if family is authentication else b"scanReference"
        documents = dict.fromkeys(family.reads("r-1"), broken.replace(b"%s", member))
        with pytest.raises(ValueError, match=r"asked for|not an object") as caught:
            family.report(documents, "r-1")
        assert isinstance(caught.value, error)


def test_an_authentication_is_read_from_its_answer() -> None:
    report = authenticated()

    assert (report.status, report.final, report.oddities) == ("PASSED", True, ())
    assert report.checks == told("authentication/passed").checks
    assert report.started_at == datetime(2026, 1, 20, 7, 30, 24, 344000, UTC)
    assert [part.classifier for part in report.parts] == ["FACE", "LIVENESS_1"]


def test_an_authentication_that_has_begun_is_no_verdict() -> None:
    key = "94ea3e31-5f4e-4263-b6b5-9b3640ca621a"
    report = authentication.report({"authentication": body("retrieval/legacy/authentication_started.json")}, key)

    assert (report.status, report.final, report.parts) == ("STARTED", False, ())


def test_a_paper_is_read_from_its_answers() -> None:
    report = papers()

    assert (report.status, report.oddities) == ("DONE/EXTRACTED", ())
    assert [part.classifier for part in report.parts] == ["ORIGINAL", "PAGE_1", "PAGE_2"]
    assert report.identities == (
        Identity("BS", issuing_country="USA", last_name="MARIBEL ROSE", issuing_date="2025-12-31"),
    )


def test_a_paper_without_data_failed_or_is_still_to_come() -> None:
    failed = document.report({"status": b'{"status": "FAILED"}', "data": None, "pages": None}, DOCUMENT_KEY)

    assert (failed.expired, decide(failed).label) == (True, "FAILED")
    assert reconcile(told("document/failed_no_document"), failed).outcome == "expired"
    with pytest.raises(UnreadableAnswerError):
        document.report({"status": b'{"status": "DONE"}', "data": None, "pages": None}, DOCUMENT_KEY)


@pytest.mark.parametrize(
    ("family", "classifier", "path"),
    [
        (netverify, "FRONT", "/scans/r-1/images/front"),
        (netverify, "FACE", "/scans/r-1/images/face"),
        (netverify, "FACEMAP", "/scans/r-1/data/facemap"),
        (netverify, "LIVENESS_12", "/scans/r-1/images/liveness/12"),
        (authentication, "FACE", "/authentications/r-1/images/face"),
        (authentication, "LIVENESS_7", "/authentications/r-1/images/liveness/7"),
        (document, "PAGE_101", "/documents/r-1/pages/101"),
        (document, "ORIGINAL", "/documents/r-1/original"),
    ],
)
def test_images_are_asked_for_by_key_and_classifier(family: Any, classifier: str, path: str) -> None:
    assert family.image_path("r-1", classifier) == path


@pytest.mark.parametrize("family", FORM_FAMILIES, ids=lambda family: family.NAME)
@pytest.mark.parametrize(("key", "classifier"), [("../x", "FRONT"), ("r-1", "../X"), ("r-1", "front"), ("r-1", "A\n")])
def test_no_other_text_gets_into_a_path(family: Any, key: str, classifier: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        family.image_path(key, classifier)


def test_the_first_read_is_the_one_that_is_always_there() -> None:
    assert {family.NAME: next(iter(family.reads("r-1").items())) for family in FORM_FAMILIES} == {
        "netverify": ("status", "/scans/r-1"),
        "authentication": ("authentication", "/authentications/r-1"),
        "document": ("status", "/documents/r-1"),
    }
