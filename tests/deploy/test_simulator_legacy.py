"""The older generations: forms and v2 have the shape of the samples, in every spelling on record."""

import io
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from PIL import Image

from deploy.simulator.dice import dice
from deploy.simulator.legacy import LegacyTransaction, encode_form
from deploy.simulator.legacy_outcomes import LEGACY, FamilyName
from deploy.simulator.run import Simulator
from tests.deploy.simulator_client import IMAGES, Client, fixture, form_fixture, read_form, receiving

ROOTS = {"netverify": "scans", "authentication": "authentications", "document": "documents"}
GO = {"callbackType": "callBackType", "idCheckMRZCode": "idCheckMRZcode", "firstAttempt": "firstAttemptDate"}
# What a sample may have and another transaction not: data of its document, and marks of its way in.
OWN = {"idUsState", "dni", "idCheckMRZcode", "idSubtype", "idExpiry", "clientIp", "additionalChecks", "userReference"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed="legacy") as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    with Client(simulator) as client:
        yield client


def form(transaction: LegacyTransaction) -> dict[str, str]:
    return read_form(transaction.callback(transaction.status, transaction.opened_at))


def made(simulator: Simulator, outcome: str, count: int = 1) -> list[LegacyTransaction]:
    family: Any = outcome.partition(".")[0]
    return simulator.create_legacy(family, count, outcomes=[outcome])


def data(client: Client, transaction: LegacyTransaction, path: str = "") -> Any:
    below = "" if transaction.family == "authentication" else "/data"
    return client.v2(f"{ROOTS[transaction.family]}/{transaction.key}{below}{path}").json()


SAMPLES = {
    "netverify.approved": "netverifyid/approved_but_not_live",
    "netverify.fraud_details_object": "netverifyid/denied_fraud_details_object",
    "netverify.fraud_details_array": "netverifyid/denied_fraud_details_array",
    "netverify.blurred": "netverifyid/not_readable_no_details_no_type",
    "netverify.unsupported_country": "netverifyid/denied_unsupported_country",
    "netverify.nothing_uploaded": "netverifyid/no_id_uploaded_minimal",
    "authentication.passed": "authentication/passed",
    "authentication.failed": "authentication/failed",
    "authentication.expired": "authentication/expired_minimal",
    "document.extracted": "document/extracted_bank_statement",
    "document.uploaded": "document/uploaded",
    "document.credit_card": "document/extracted_credit_card",
    "document.discarded": "document/discarded",
    "document.failed": "document/failed_no_document",
}


@pytest.mark.parametrize("outcome", SAMPLES)
def test_a_form_has_the_fields_of_the_sample(simulator: Simulator, outcome: str) -> None:
    sample = form_fixture(f"callbacks/{SAMPLES[outcome]}.form")
    forms = [form(each) for each in made(simulator, outcome, 12)]
    named = [{GO.get(name, name) for name in each} for each in forms]

    assert {name for names in named for name in names} >= sample.keys() - OWN
    if outcome in {"netverify.nothing_uploaded", "authentication.expired", "document.failed"}:
        assert {name for names in named for name in names} - {"userReference"} <= sample.keys()
    for name in ("verificationStatus", "idScanStatus", "transactionResult", "callBackType"):
        assert {each[name] for each in forms if name in each} == ({sample[name]} if name in sample else set())
    for name in ("document", "transaction", "rejectReason"):
        members = [set(json.loads(each[name])) for each in forms if name in each]
        assert (set.union(*members) if members else set()) >= set(json.loads(sample.get(name, "{}"))) - {
            "rejectReasonDetails" if outcome == "netverify.blurred" else "",
            "clientIp",
        }


def test_forms_come_in_every_spelling_on_record(simulator: Simulator) -> None:
    scans = simulator.create_legacy("netverify", 280)
    raw = [each.callback(each.status, each.opened_at).decode() for each in scans]
    forms = [dict(parse_qsl(each)) for each in raw]
    reasons = [json.loads(each["rejectReason"]) for each in forms if "rejectReason" in each]
    persons = [json.loads(each["identityVerification"]) for each in forms if "identityVerification" in each]
    validities = {(type(each["validity"]), each["validity"]) for each in persons if each}

    assert {type(each.get("rejectReasonDetails")) for each in reasons} == {dict, list, type(None)}
    assert [] in [each.get("rejectReasonDetails") for each in reasons]
    assert validities == {(type(it), it) for it in (True, "true", "TRUE", False, "false", "FALSE")}
    assert {} in persons
    assert len({tuple(dict(parse_qsl(each))) for each in raw}) > len(raw) / 2
    assert any("+" in each for each in raw)
    assert any("%20" in each for each in raw)
    assert any(each.count("livenessImages=http") > 1 for each in raw)
    assert any("livenessImages=%5B" in each for each in raw)
    assert any("callbackType" in each for each in forms)
    assert any(each.get("idScanSource") == "API" and "clientIp" not in each for each in forms)
    assert {len(each["callbackDate"].partition(".")[2].rstrip("Z")) for each in forms} == {0, 1, 2, 3}
    assert any("idCheckMRZcode" not in each and "idCheckMRZCode" not in each for each in forms)


def test_blanks_and_letters_survive_a_form() -> None:
    fields = [("name", "PRØVEDIS O'DUMMY & +1%"), ("again", "1"), ("again", "2")]

    assert sorted(parse_qsl(encode_form(fields, dice("form")).decode())) == sorted(fields)


def test_the_documents_of_v2_have_the_members_of_the_samples(client: Client, simulator: Simulator) -> None:
    scans = made(simulator, "netverify.approved", 16)
    sample = fixture("retrieval/legacy/scan_data_approved.json")
    for each in scans:
        found = data(client, each)
        assert found.keys() | {"facemap"} == sample.keys()
        assert found["document"].keys() >= sample["document"].keys()
        assert found["transaction"].keys() == sample["transaction"].keys()
        assert found["verification"].keys() - {"additionalChecks"} == sample["verification"].keys()
        assert found["verification"]["identityVerification"] == {"similarity": "MATCH", "validity": "true"}
        assert data(client, each, "/document").keys() == found["document"].keys() | {"timestamp", "scanReference"}
        assert data(client, each, "/transaction")["status"] == "DONE"
        assert "mrzCheck" in data(client, each, "/verification")
    status = client.v2(f"scans/{scans[0].key}").json()
    assert status.keys() == fixture("retrieval/legacy/scan_status_done.json").keys()
    images = [client.v2(f"scans/{each.key}/images").json() for each in scans]
    assert {name for each in images for name in each} == fixture("retrieval/legacy/scan_images_list.json").keys()
    assert any("facemap" in data(client, each) for each in scans)
    assert any(data(client, each)["transaction"]["source"] == "WEB-CAM" for each in scans)


def test_the_documents_of_the_other_families_too(client: Client, simulator: Simulator) -> None:
    passed = [data(client, each) for each in made(simulator, "authentication.passed", 12)]
    sample = fixture("retrieval/legacy/authentication.json")
    assert {name for each in passed for name in each} == sample.keys() | {"userReference"}
    assert {type(each["images"]) for each in passed} == {dict, list}
    assert not any(each["transactionDate"].endswith("Z") for each in passed)

    pages = [client.v2(f"documents/{each.key}/pages").json() for each in made(simulator, "document.extracted", 12)]
    assert pages[0].keys() == fixture("retrieval/legacy/document_pages.json").keys()
    assert {type(each["images"]) for each in pages} == {dict, list}
    [card] = made(simulator, "document.credit_card")
    extracted = data(client, card)["document"]["extractedData"]
    assert json.loads(extracted["extractedData"])["expiryDate"] == "09/28"
    assert json.loads(form(card)["document"])["extractedData"]["issueDate"] == "09/28"


@pytest.mark.parametrize("family", LEGACY)
def test_every_listed_image_can_be_read(client: Client, simulator: Simulator, family: FamilyName) -> None:
    for each in simulator.create_legacy(family, len(LEGACY[family])):
        root = f"{ROOTS[family]}/{each.key}"
        assert each.expectation.images == len(each.images) + ("facemap" in form(each))
        for path in each.images[:4]:
            image = client.v2(f"{root}/{path}" if family == "document" else f"{root}/images/{path}", headers=IMAGES)
            if path == "original":
                start = int(image.content.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
                assert image.headers["content-type"] == "application/pdf"
                assert image.content.startswith(b"%PDF")
                assert image.content[start:].startswith(b"xref")
            else:
                Image.open(io.BytesIO(image.content)).load()
        absent = "pages/77" if family == "document" else "images/liveness/77"
        assert client.v2(f"{root}/{absent}").status_code == 404


def test_facemaps_cards_and_the_addresses_in_callbacks(client: Client, simulator: Simulator) -> None:
    scan = next(each for each in made(simulator, "netverify.approved", 16) if "facemap" in form(each))
    [card] = made(simulator, "document.credit_card")
    auth = (client.tenant.legacy_token, client.tenant.legacy_secret)

    assert client.v2(f"scans/{scan.key}/data/facemap").headers["content-type"] == "application/octet-stream"
    assert client.get(f"/recognition/v1/idscan/{scan.key}/front", auth=auth).headers["content-type"] == "image/jpeg"
    assert client.v2(f"documents/{card.key}/pages/101").status_code == 200
    assert client.v2(f"documents/{card.key}/pages/101?maskhint=unmasked").status_code == 403


def test_v2_wants_a_name_and_a_password_and_forgets_on_demand(client: Client, simulator: Simulator) -> None:
    [scan] = made(simulator, "netverify.approved")
    path = f"scans/{scan.key}"
    auth = (client.tenant.legacy_token, client.tenant.legacy_secret)

    assert client.v2(path, headers={"user-agent": ""}).status_code == 403
    assert client.v2(path, headers={"user-agent": "python-requests/2"}).status_code == 403
    assert client.v2(path, auth=None).status_code == 401
    assert client.v2(path, auth=client.credentials).status_code == 401
    assert client.v2(f"documents/{scan.key}").status_code == 404

    assert client.delete(f"/api/netverify/v2/{path}", auth=auth).status_code == 200
    gone, sample = client.v2(path), fixture("errors/legacy_404.json")
    assert gone.status_code == 404
    assert gone.headers["x-trackingid"]
    assert gone.json() == {
        name: text.replace("feabfdd6-437c-4c0a-864b-6680cfdc8b1c", scan.key) for name, text in sample.items()
    }


@pytest.mark.parametrize("outcome", ["netverify.approved", "authentication.passed", "document.extracted"])
def test_not_ready(client: Client, simulator: Simulator, outcome: str) -> None:
    seen: set[Any] = set()
    for each in made(simulator, outcome, 8):
        simulator.faults.give(each.key, "not_ready")
        root = f"{ROOTS[each.family]}/{each.key}"
        if each.family != "authentication":
            assert client.v2(root).json()["status"] == "PENDING"
        early = client.v2(root if each.family == "authentication" else f"{root}/data")
        found = early.json()
        seen.add(found.get("transactionResult") or found.get("transaction", {}).get("status") or early.status_code)
        client.v2(root)
        assert each.status.partition("/")[0] in json.dumps(data(client, each))

    assert 404 in seen
    assert seen & {"PENDING", "STARTED", "CREATED"}


def test_a_correction_reverses_the_result_a_day_later(client: Client, simulator: Simulator) -> None:
    [scan] = made(simulator, "netverify.approved")
    simulator.faults.give(scan.key, "corrected")
    reports = []
    with receiving() as receiver:
        play = threading.Thread(target=lambda: reports.append(simulator.play(receiver.url, [scan])))
        play.start()
        first = data(client, scan)
        play.join()
    second = data(client, scan)

    dates = [datetime.fromisoformat(second["transaction"][name]) for name in ("date", "updatedAt")]
    forms = [read_form(body) for _, _, body in receiver.got]
    assert (first["document"].pop("status"), second["document"].pop("status")) == ("APPROVED_VERIFIED", "DENIED_FRAUD")
    assert first["document"] == second["document"]
    assert "updatedAt" not in first["transaction"]
    assert dates[1] - dates[0] > timedelta(days=1)
    assert dates[1] > datetime.fromisoformat(forms[0]["callbackDate"])
    assert second["verification"]["identityVerification"]["reason"] == "VALID"
    assert [each["verificationStatus"] for each in forms] == ["APPROVED_VERIFIED", "DENIED_FRAUD"]
    assert reports[0].workflows[0].expectation.outcome == "rejected"
    assert reports[0].workflows[0].revised_from.outcome == "passed"


@pytest.mark.parametrize(
    "outcome", ["netverify.fraud_details_array", "authentication.passed", "document.extracted", "document.discarded"]
)
def test_a_contradiction_says_nothing_of_an_update(client: Client, simulator: Simulator, outcome: str) -> None:
    [each] = made(simulator, outcome)
    simulator.faults.give(each.key, "contradiction")
    with receiving() as receiver:
        report = simulator.play(receiver.url, [each])

    told, says = receiver.got[0][2].decode(), json.dumps(data(client, each))
    final, opposite = (it.status.rpartition("/")[2] for it in (each.outcome, each.shown))
    assert final in told
    assert opposite not in told
    assert opposite in says
    assert final not in says
    assert "updatedAt" not in says
    assert report.workflows[0].expectation.outcome == "warning"


def test_what_cannot_befall_a_transaction_does_not(simulator: Simulator) -> None:
    [expired] = made(simulator, "netverify.nothing_uploaded")
    [passed] = made(simulator, "authentication.passed")

    never = ("out_of_order", "token_expired_early", "old_encoding", "findings_pending")
    assert not any(expired.suffers(fault) for fault in (*never, "corrected", "contradiction", "missing_image"))
    assert not passed.suffers("corrected")
    assert passed.suffers("duplicate")
