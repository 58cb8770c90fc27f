"""Every form among the fixtures is read as the index says: what the older generations' callbacks tell."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from schemas.callbacks.callback import Callback, UnreadableCallbackError
from schemas.callbacks.recognise import FORM_FAMILIES, LEGACY, read_callback
from schemas.report import Check, Detail, Identity, Outcome, Part, Reason, Report
from tests.schemas.told import FIXTURES, KEY, body, told
from workers.decide import UndecidedError, decide

INDEX = json.loads((FIXTURES / "index.json").read_text())["files"]
FORMS = [entry for entry in INDEX if entry["path"].startswith("callbacks/") and entry["path"].endswith(".form")]
FAMILIES = {
    "netverifyid": "netverify", "netverify_authentication": "authentication", "document_verification": "document",
}  # fmt: skip
OUTCOMES: dict[str, Outcome] = {
    "approved_passport": "passed",
    "approved_but_not_live": "rejected",
    "approved_with_screening": "warning",
    "approved_liveness_json_array": "passed",
    "approved_us_address_old": "passed",
    "approved_masked_deu": "warning",
    "denied_fraud_details_array": "rejected",
    "denied_fraud_details_object": "rejected",
    "not_readable_empty_details": "rejected",
    "not_readable_no_details_no_type": "rejected",
    "denied_unsupported_country": "unsupported",
    "denied_unsupported_type": "unsupported",
    "no_id_uploaded_minimal": "expired",
    "passed": "passed",
    "failed": "rejected",
    "expired_minimal": "expired",
    "uploaded": "not_executed",
    "extracted_bank_statement": "not_executed",
    "extracted_credit_card": "not_executed",
    "discarded": "unsupported",
    "failed_no_document": "expired",
}


def fields(**changes: Any) -> dict[str, str]:
    start = {"callBackType": "NETVERIFYID", "jumioIdScanReference": "r-1", "verificationStatus": "APPROVED_VERIFIED"}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in changes.items()}
    return start | texts


def read(**changes: Any) -> Report:
    report = read_callback(urlencode(fields(**changes)).encode()).told
    assert report is not None
    return report


@pytest.mark.parametrize("entry", FORMS, ids=lambda entry: entry["path"])
def test_a_callback_is_read_as_the_index_says(entry: dict[str, Any]) -> None:
    callback = read_callback(body(entry["path"]))

    assert callback.family == FAMILIES[entry["family"]]
    assert (callback.workflow_key, callback.account_id) == (entry["key"], "")
    assert callback.status == entry["status"]
    assert callback.stage == {True: "final", False: "underway"}[entry["final"]]
    assert callback.sent_at is not None
    report = callback.told
    assert report is not None
    assert (report.family, report.workflow_key, report.status) == (callback.family, entry["key"], entry["status"])
    assert (report.final, report.said_at, report.oddities) == (entry["final"], callback.sent_at, ())
    assert {part.credential_id for part in report.parts} <= {entry["key"]}
    assert all(part.offered for part in report.parts)
    verdict = decide(report, "callback")
    assert verdict.outcome == OUTCOMES[Path(entry["path"]).stem]
    assert (verdict.label, verdict.rests_on) == (entry["status"], "callback")


def test_a_new_family_is_one_new_file(tmp_path: Path) -> None:
    shutil.copytree("schemas", tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    families = tmp_path / "schemas/callbacks/families"
    text = (families / "authentication.py").read_text()
    renamed = text.replace('Family = "authentication"', 'Family = "enrolment"').replace(
        "NETVERIFY_AUTH", "NETVERIFY_ENROL"
    )
    (families / "enrolment.py").write_text(renamed)
    form = (
        (FIXTURES / "callbacks/authentication/passed.form").read_bytes().replace(b"NETVERIFY_AUTH", b"NETVERIFY_ENROL")
    )
    (tmp_path / "callback.form").write_bytes(form)

    program = (
        "from pathlib import Path; from schemas.callbacks.recognise import LEGACY, read_callback;"
        "print(read_callback(Path('callback.form').read_bytes()).family, *sorted(LEGACY))"
    )
    read = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert read.stdout.split() == ["enrolment", "authentication", "document", "enrolment", "netverify"]


def test_every_form_among_the_fixtures_has_an_outcome() -> None:
    assert {Path(entry["path"]).stem for entry in FORMS} == OUTCOMES.keys()
    assert {family.NAME for family in FORM_FAMILIES} == set(LEGACY) == set(FAMILIES.values())


@pytest.mark.parametrize(
    ("path", "status", "oddities"),
    [
        ("form_body_json_type", "NO_ID_UPLOADED", ()),
        ("form_bad_embedded_json", "DENIED_FRAUD", ("embedded_json:rejectReason", "not_list:rejectReason")),
        ("form_nul", "NO_ID_UPLOADED", ()),
    ],
)
def test_malformed_forms_are_read_as_far_as_they_go(path: str, status: str, oddities: tuple[str, ...]) -> None:
    callback = read_callback(body(f"malformed/{path}.form"))

    assert (callback.family, callback.status) == ("netverify", status)
    assert callback.told is not None
    assert callback.told.oddities == oddities
    assert all("\0" not in (identity.last_name or "") for identity in callback.told.identities)
    decide(callback.told)


def test_too_many_fields_are_parked() -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_callback(body("malformed/form_many_fields.form"))

    assert caught.value.code == "shape"


def test_a_passport_is_read_whole() -> None:
    report = told("netverifyid/approved_passport")

    assert report.identities == (
        Identity(
            "PASSPORT", None, "USA", "MARIBEL ROSE", "O'CONNELL-TRAN", "1988-07-19", "X9988776", None, "2031-04-30"
        ),
    )
    assert (report.user_reference, report.customer_reference) == ("cust-ee2375", "order-2026-085f4bc0")
    assert report.started_at == datetime(2026, 1, 12, 8, 0, 3, 511000, UTC)
    assert report.checks == (
        Check("document", (KEY,), "passed", "APPROVED_VERIFIED"),
        Check("similarity", (KEY,), "passed", "MATCH"),
        Check("liveness", (KEY,), "passed", "VALID"),
    )
    assert report.parts == (Part(KEY, "SELFIE", "FACE", offered=True), Part(KEY, "ID", "FRONT", offered=True))
    assert json.loads(report.raw)["callback"]["personalNumber"] == "N/A"


def test_the_person_check_has_its_own_reasons() -> None:
    verdict = decide(told("netverifyid/approved_but_not_live"))

    assert verdict.reasons == (Reason("similarity", "NO_MATCH"), Reason("liveness", "SELFIE_IS_SCREEN_PAPER_VIDEO"))


def test_screening_hits_are_a_reason_to_look() -> None:
    verdict = decide(told("netverifyid/approved_with_screening"))

    assert verdict.reasons == (Reason("watchlistScreening", "ALERT"),)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "denied_fraud_details_array",
            Reason("document", "MANIPULATED_DOCUMENT", "100", (Detail("1001", "PHOTO"), Detail("1004", "DOB"))),
        ),
        (
            "denied_fraud_details_object",
            Reason("document", "MANIPULATED_DOCUMENT", "100", (Detail("10011", "PLACE_OF_BIRTH"),)),
        ),
        ("not_readable_empty_details", Reason("document", "NO_DOCUMENT", "201")),
        ("not_readable_no_details_no_type", Reason("document", "MISSING_FRONT", "214")),
    ],
)
def test_reject_reasons_come_out_the_same(name: str, reason: Reason) -> None:
    assert decide(told(f"netverifyid/{name}")).reasons == (reason,)


def test_a_rejection_without_a_readable_reason_has_the_status_for_one() -> None:
    assert decide(read(verificationStatus="DENIED_FRAUD")).reasons == (Reason("document", "DENIED_FRAUD"),)


def test_liveness_images_are_numbered_by_their_addresses() -> None:
    report = told("netverifyid/approved_liveness_json_array")

    found = {part.classifier: part.category for part in report.parts}
    assert found == {"FRONT": "ID", "BACK": "ID", "FACE": "SELFIE", "FACEMAP": "FACEMAP"} | {
        f"LIVENESS_{number}": "FACEMAP" for number in range(1, 8)
    }


@pytest.mark.parametrize(
    ("images", "classifiers", "oddities"),
    [
        (["https://x/liveness/3", "https://x/liveness/1?a=/9"], ["LIVENESS_1", "LIVENESS_3"], ()),
        (["https://x/a", "https://x/b"], ["LIVENESS_1", "LIVENESS_2"], ("no_number:livenessImages",)),
        ("https://x/liveness/5/", ["LIVENESS_5"], ()),
        ({"classifier": "x", "href": "https://x/liveness/2"}, ["LIVENESS_2"], ()),
        ([[], 5, None, ""], ["LIVENESS_2"], ("not_text:href", "no_image:livenessImages", "no_number:livenessImages")),
    ],
)
def test_odd_lists_of_images_are_read(images: Any, classifiers: list[str], oddities: tuple[str, ...]) -> None:
    report = read(livenessImages=images)

    if images != [[], 5, None, ""]:
        assert [part.classifier for part in report.parts] == classifiers
    assert set(report.oddities) == set(oddities)


@pytest.mark.parametrize("spelling", ["callBackType", "callbackType", "CALLBACKTYPE"])
def test_jumio_go_spells_its_fields_otherwise(spelling: str) -> None:
    text = (
        f"{spelling}=NETVERIFYID&jumioidscanreference=r-1&VerificationStatus=%20DENIED_FRAUD+&idCheckMRZCode=N%2FA"
        "&firstAttempt=2018-05-01T10:00:00Z"
    )

    callback = read_callback(text.encode())

    assert (callback.family, callback.workflow_key, callback.status) == ("netverify", "r-1", "DENIED_FRAUD")
    assert callback.told is not None
    assert callback.told.oddities == ()
    assert spelling in json.loads(callback.told.raw)["callback"]


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("jumioIdScanReference=r-1&verificationStatus=DENIED_FRAUD", "netverify"),
        ("transactionReference=r-1&enrollmentTransactionReference=r-0&transactionResult=PASSED", "authentication"),
        ("scanReference=r-1&transaction=%7B%22status%22:%22DONE%22%7D&timestamp=x", "document"),
    ],
)
def test_a_callback_that_does_not_name_its_type_is_known_by_its_fields(text: str, family: str) -> None:
    assert read_callback(text.encode()).family == family


@pytest.mark.parametrize("status", ["PENDING", "INITIATED", "ACQUISITION_STARTED", "ACQUIRED", "CREATED", "STARTED"])
def test_a_status_on_the_way_is_never_a_verdict(status: str) -> None:
    bodies = (
        urlencode(fields(verificationStatus=status)),
        urlencode(fields(verificationStatus="", idScanStatus=status)),
        f"callBackType=NETVERIFY_AUTHENTICATION&transactionReference=r-1&transactionResult={status}",
        "scanReference=r-1&timestamp=x&transaction=" + quote(json.dumps({"status": status})),
    )

    for text in bodies:
        callback = read_callback(text.encode())
        assert callback.told is not None
        assert (callback.status, callback.stage, callback.told.final) == (status, "underway", False)
        with pytest.raises(UndecidedError):
            decide(callback.told)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jumioIdScanReference": "../admin"}, "id"),
        ({"jumioIdScanReference": ""}, "id"),
        ({"jumioIdScanReference": "r\0"}, "id"),
        ({"verificationStatus": ""}, "shape"),
        ({"verificationStatus": "N/A"}, "shape"),
        ({"verificationStatus": "X" * 65}, "shape"),
    ],
)
def test_a_form_without_reference_or_status_is_parked(changes: dict[str, str], code: str) -> None:
    with pytest.raises(UnreadableCallbackError) as caught:
        read_callback(urlencode(fields(**changes)).encode())

    assert caught.value.code == code


def test_a_broken_transaction_does_not_hide_the_document() -> None:
    text = f"scanReference=r-1&timestamp=x&transaction=%7B&document={quote(json.dumps({'status': 'EXTRACTED'}))}"

    callback = read_callback(text.encode())

    assert (callback.status, callback.stage) == ("NO_STATUS/EXTRACTED", "unknown")
    assert callback.told is not None
    assert "embedded_json:transaction" in callback.told.oddities
    assert decide(callback.told).outcome == "warning"


def test_the_expiry_of_a_credit_card_comes_as_its_issue_date() -> None:
    report = told("document/extracted_credit_card")

    assert report.identities == (
        Identity(document_type="CC", issuing_country="AUT", last_name="JANA VOGT", expiry_date="09/28"),
    )
    assert report.parts == (Part(report.workflow_key, "DOCUMENT", "PAGE_101", offered=True),)


def test_a_paper_has_pages_and_an_original() -> None:
    report = told("document/extracted_bank_statement")

    assert [part.classifier for part in report.parts] == ["ORIGINAL", "PAGE_1", "PAGE_2"]
    assert {part.category for part in report.parts} == {"DOCUMENT"}
    assert report.identities[0].issuing_date == "2025-12-31"


def test_callbacks_know_no_account() -> None:
    callback: Callback = read_callback(body("callbacks/authentication/passed.form"))

    assert callback.account_id == ""
    assert callback.told is not None
    assert callback.told.account_id == ""
