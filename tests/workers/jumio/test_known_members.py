"""Whatever Jumio adds, at any level of any document, is noticed; and no spelling of a name changes what is read."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.callbacks.families import authentication, document, netverify
from schemas.callbacks.recognise import read_callback
from schemas.report import Report
from tests.workers.jumio.samples import ACCOUNT, WORKFLOW, minimal
from workers.decide import decide
from workers.errors import JumioAnswerError
from workers.jumio.kyx import expired_report, read_report

FIXTURES = Path("tests/fixtures/retrieval")
SCAN, AUTHENTICATION, PAPER = (
    "085f4bc0-2132-4f32-9747-d1dfafee2375",
    "92a1bb2c-d421-475f-b613-903b6167b2c8",
    "43366451-0dd2-45f5-925d-40c32138c17c",
)
Document = dict[str, Any]


def load(name: str) -> Document:
    found: Document = json.loads((FIXTURES / name).read_bytes())
    return found


def as_bytes(shown: Document) -> bytes:
    return json.dumps(shown).encode()


def of_details(shown: Document) -> Report:
    return read_report(as_bytes(shown), None, account_id=_id(shown, "account"), workflow_key=_id(shown, "workflow"))


def of_steps(shown: Document) -> Report:
    details = load("kyx/details_minimal.json")
    return read_report(as_bytes(details), as_bytes(shown), account_id=ACCOUNT, workflow_key=WORKFLOW)


def of_status(shown: Document) -> Report:
    return expired_report(shown, account_id=_id(shown, "account"), workflow_key=_id(shown, "workflowExecution"))


def of_scan(**shown: Document) -> Report:
    documents = {
        "status": load("legacy/scan_status_done.json"),
        "data": load("legacy/scan_data_approved.json"),
        "images": load("legacy/scan_images_list.json"),
    } | shown
    return netverify.report({name: as_bytes(each) for name, each in documents.items()}, SCAN)


def of_pages(**shown: Document) -> Report:
    data = {
        "scanReference": PAPER,
        "transaction": {"status": "DONE", "customerId": "c"},
        "document": {"status": "EXTRACTED", "type": "BS", "country": "DEU", "extractedData": {"firstName": "ANNA"}},
    }
    documents = {
        "status": {"scanReference": PAPER, "status": "DONE"},
        "data": data,
        "pages": load("legacy/document_pages.json") | {"scanReference": PAPER},
    } | shown
    return document.report({name: as_bytes(each) for name, each in documents.items()}, PAPER)


def _id(shown: Document, member: str) -> str:
    found = {name.lower(): value for name, value in shown.items()}[member.lower()]
    return str({name.lower(): value for name, value in found.items()}["id"])


CASES: dict[str, tuple[Document, Callable[[Document], Report]]] = {
    **{path.stem: (load(f"kyx/{path.name}"), of_details) for path in sorted(FIXTURES.glob("kyx/details_*.json"))},
    "steps": (load("kyx/steps.json"), of_steps),
    "status": (load("kyx/status_session_expired.json"), of_status),
    "scan status": (load("legacy/scan_status_done.json"), lambda shown: of_scan(status=shown)),
    "scan data": (load("legacy/scan_data_approved.json"), lambda shown: of_scan(data=shown)),
    "scan data, denied": (
        load("legacy/scan_data_denied_updated.json") | {"scanReference": SCAN},
        lambda shown: of_scan(data=shown),
    ),
    "scan images": (load("legacy/scan_images_list.json"), lambda shown: of_scan(images=shown)),
    "authentication": (
        load("legacy/authentication.json") | {"transactionReference": AUTHENTICATION},
        lambda shown: authentication.report({"authentication": as_bytes(shown)}, AUTHENTICATION),
    ),
    "document pages": (
        load("legacy/document_pages.json") | {"scanReference": PAPER},
        lambda shown: of_pages(pages=shown),
    ),
}  # fmt: skip
# Their members are names of checks, which have a word of their own when they are new.
NAMES_ARE_DATA = {"capabilities"}


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the objects of a document are."""
    if isinstance(value, dict):
        if not path or path[-1] not in NAMES_ARE_DATA:
            yield path
        for name, inner in value.items():
            yield from objects(inner, (*path, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from objects(inner, (*path, position))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def swapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.swapcase(): swapped(inner) for name, inner in value.items()}
    return [swapped(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES)
def test_what_is_documented_is_not_new(case: str) -> None:
    shown, read = CASES[case]

    # A capability that no page of Jumio's names; the samples have it to be unknown.
    assert [code for code in read(shown).oddities if code.startswith("unknown") and "eKyc" not in code] == []


@pytest.mark.parametrize("case", CASES)
def test_a_member_that_is_new_is_noticed_wherever_it_is(case: str) -> None:
    shown, read = CASES[case]
    for path in objects(shown):
        if "eKycVerification" in path:
            continue
        changed = copy.deepcopy(shown)
        at(changed, path)["gaitSpeed"] = 1

        assert "unknown_member:gaitSpeed" in read(changed).oddities, path


@pytest.mark.parametrize("case", CASES)
def test_no_spelling_of_a_name_changes_what_is_read(case: str) -> None:
    shown, read = CASES[case]
    names = {name for path in objects(shown) for name in path if isinstance(name, str)}
    unknown = {"eKycVerification"} & names

    if not unknown:
        assert replace(read(swapped(shown)), raw=b"") == replace(read(shown), raw=b"")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"decision": {"type": "PASSED", "details": {"label": "SPLENDID"}}}, "unknown_label:SPLENDID"),
        ({"capabilities": {"usability": {"decision": {"details": {"label": "MATCH"}}}}}, "unknown_label:MATCH"),
        ({"credentials": [{"id": "c-1", "category": "VOICE", "parts": []}]}, "unknown_category:VOICE"),
        ({"credentials": [{"id": "c-1", "parts": [{"classifier": "SIDE"}]}]}, "unknown_classifier:SIDE"),
        ({"capabilities": {"extraction": {"data": {"type": "LIBRARY_CARD"}}}}, "unknown_word:type"),
        ({"capabilities": {"extraction": {"data": {"subType": "GOLD"}}}}, "unknown_word:subType"),
    ],
)  # fmt: skip
def test_a_word_that_is_new_is_noticed(changes: Document, code: str) -> None:
    assert code in of_details(minimal(**changes)).oddities


def test_a_person_who_did_not_match_has_not_passed_however_it_is_spelt() -> None:
    shown = load("legacy/scan_data_approved.json")
    shown["Verification"] = swapped(shown.pop("verification"))
    shown["Verification"]["IDENTITYvERIFICATION"] = {"Similarity": "NO_MATCH", "VALIDITY": True}

    assert decide(of_scan(data=shown)).outcome == "rejected"


@pytest.mark.parametrize("search", [[{"status": "PENDING"}], [{}, {"Status": "pending"}]])
def test_a_face_search_in_a_list_is_seen(search: object) -> None:
    assert of_details(minimal(capabilities={"imageChecks": {"data": [{"faceSearchFindings": search}]}})).provisional


def test_lower_case_is_a_classifier_too_and_a_decision_in_a_list_is_one() -> None:
    parts = [{"classifier": "front", "href": "x"}]

    report = of_details(minimal(decision=[{"type": "PASSED"}], credentials=[{"id": "c-1", "parts": parts}]))

    assert [part.classifier for part in report.parts] == ["FRONT"]
    assert report.decision is not None
    assert report.decision.outcome == "passed"


def test_two_spellings_with_two_values_are_no_answer() -> None:
    shown = minimal() | {"Decision": {"type": "PASSED"}, "decision": {"type": "REJECTED"}}

    with pytest.raises(JumioAnswerError):
        of_details(shown)


CALLBACK = {
    "callbackSentAt": "2026-01-12T08:00:03Z",
    "workflowExecution": {"id": "w-1", "href": "", "definitionKey": "2", "status": "PROCESSED"},
    "account": {"id": "a-1", "href": ""},
}


def test_a_kyx_callback_is_read_in_any_spelling() -> None:
    assert read_callback(as_bytes(swapped(CALLBACK))) == read_callback(as_bytes(CALLBACK))


@pytest.mark.parametrize("path", list(objects(CALLBACK)))
def test_what_is_new_in_a_kyx_callback_is_noticed(path: tuple[str | int, ...]) -> None:
    changed = copy.deepcopy(CALLBACK)
    at(changed, path)["mood"] = "good"

    assert read_callback(as_bytes(changed)).oddities == ("unknown_member:mood",)


def test_a_callback_of_two_spellings_with_two_values_is_parked() -> None:
    with pytest.raises(UnreadableCallbackError) as raised:
        read_callback(as_bytes(CALLBACK | {"Account": {"id": "a-2"}}))

    assert raised.value.code == "duplicate_keys"


@pytest.mark.parametrize("name", ["ａccount", "ac\u200dcount", "account\u0131"])  # noqa: RUF001
def test_letters_that_only_look_alike_are_others(name: str) -> None:
    other = {key: value for key, value in CALLBACK.items() if key != "account"} | {name: {"id": "a-1"}}

    with pytest.raises(UnreadableCallbackError) as raised:
        read_callback(as_bytes(other))

    assert raised.value.code == "family"
