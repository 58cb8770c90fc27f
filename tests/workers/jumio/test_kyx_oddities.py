"""Every oddity of the KYX guide and of recordings: what is not there, not of its type, misspelt or somebody else's."""

import json
from typing import Any

import pytest

from schemas.report import Check, Decision, Identity, Part, Report
from tests.workers.jumio.samples import ACCOUNT, FIXTURES, ID, WORKFLOW, minimal, read
from workers.errors import JumioAnswerError, JumioNotFoundError, MismatchError
from workers.jumio.kyx import read_report


@pytest.mark.parametrize(
    ("member", "other"), [("workflow", {"id": ID}), ("account", {"id": ID}), ("account", {"id": 7})]
)
def test_what_belongs_to_another_is_a_mismatch(member: str, other: dict[str, Any]) -> None:
    with pytest.raises(MismatchError) as raised:
        read(minimal(**{member: {"status": "PROCESSED"} | other}))

    assert ID not in str(raised.value)


def test_ids_that_are_not_shown_are_no_mismatch() -> None:
    report = read({"workflow": {"status": "PROCESSED"}})

    assert report.oddities == ("no_id:workflow", "no_id:account")


@pytest.mark.parametrize("details", [{}, {"workflow": []}, {"workflow": None}, minimal(workflow={"id": WORKFLOW})])
def test_a_document_without_workflow_or_status_is_no_answer(details: dict[str, Any]) -> None:
    with pytest.raises(JumioAnswerError):
        read(details)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"workflow": NaN}', b'{"a": "\xe4"}', b"[" * 100_000])
def test_what_is_no_json_object_is_no_answer(body: bytes) -> None:
    good = (FIXTURES / "details_minimal.json").read_bytes()

    for details, steps in ((body, None), (good, body)):
        with pytest.raises(JumioAnswerError):
            read_report(details, steps, account_id=ACCOUNT, workflow_key=WORKFLOW)


@pytest.mark.parametrize("depth", range(100, 1100, 50))
def test_any_depth_is_read_or_no_answer(depth: int) -> None:
    body = b'{"workflow": {"status": "PROCESSED"}, "x": ' + b"[" * depth + b"]" * depth + b"}"

    try:
        report = read_report(body, None, account_id=ACCOUNT, workflow_key=WORKFLOW)
    except JumioAnswerError:
        return

    assert report.final


@pytest.mark.parametrize(
    ("score", "read_as"),
    [
        (0, "0.00"), (0.0, "0.00"), (-0.0, "0.00"), (50, "50.00"), ("50", "50.00"), ("12.25", "12.25"),
        (100.0, "100.00"),
        (-1, "-1.00"), ("-1.0", "-1.00"), (1e-05, "0.00"), ("0E-999999", "0.00"), (33.333, "33.33"),
    ],
)  # fmt: skip
def test_a_score_is_one_decimal_however_it_is_written(score: object, read_as: str) -> None:
    report = read(minimal(decision={"type": "WARNING", "risk": {"score": score}}))

    assert report.decision is not None
    assert str(report.decision.risk_score) == read_as
    assert report.oddities == ()


@pytest.mark.parametrize(
    "score", [101, -0.5, -2, "NaN", "sNaN", "Infinity", "1e999", "high", "9" * 5000, True, [], {}, [5], "1" * 65]
)
def test_no_score_is_none_and_odd(score: object) -> None:
    report = read(minimal(decision={"type": "WARNING", "risk": {"score": score}}))

    assert report.decision == Decision("warning", "WARNING", None)
    assert report.oddities == ("not_score:score",)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5000])
def test_a_number_beyond_what_can_be_held_is_kept_as_text(number: str) -> None:
    body = f'{{"workflow": {{"status": "PROCESSED"}}, "decision": {{"type": "PASSED", "risk": {{"score": {number}}}}}}}'

    report = read_report(body.encode(), None, account_id=ACCOUNT, workflow_key=WORKFLOW)

    assert report.decision == Decision("passed", "PASSED", None)
    assert json.loads(report.raw)["details"]["decision"]["risk"]["score"] == number


@pytest.mark.parametrize("absent", [None, "", "N/A", " "])
def test_an_absent_score_is_not_odd(absent: str | None) -> None:
    report = read(minimal(decision={"type": "PASSED", "risk": {"score": absent}}))

    assert report.decision == Decision("passed", "PASSED", None)
    assert report.oddities == ()


@pytest.mark.parametrize("kind", ["APPROVED", "passed", "PASSED ", "", None, 1, True, [], ["PASSED"], {"PASSED": 1}])
def test_an_unknown_decision_is_for_a_person(kind: object) -> None:
    report = read(minimal(decision={"type": kind, "details": {"label": "PASSED"}}))

    assert report.decision == Decision("warning", "PASSED", None)
    assert any(code.startswith("unknown_decision:") for code in report.oddities)


@pytest.mark.parametrize("nothing", [None, {}, [], ""])
def test_a_decision_of_nothing_is_none(nothing: object) -> None:
    assert read(minimal(decision=nothing)).decision is None


@pytest.mark.parametrize("odd", ["PASSED", 1, [{"type": "PASSED"}, {"type": "PASSED"}], True])
def test_a_decision_of_another_type_is_none_and_odd(odd: object) -> None:
    report = read(minimal(decision=odd))

    assert report.decision is None
    assert report.oddities == ("not_object:decision",)


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_capabilities_of_nothing_are_no_checks(nothing: object) -> None:
    absent = read(minimal(capabilities=nothing))
    empty = read(minimal(capabilities={"usability": nothing, "extraction": [{"decision": {"type": "PASSED"}}]}))

    assert absent.checks == ()
    assert empty.checks == (Check("extraction", (), "passed", "PASSED"),)
    assert empty.identities == ()
    assert empty.oddities == ()


def test_unknown_capabilities_and_labels_are_kept() -> None:
    entry = {"decision": {"type": "REJECTED", "details": {"label": "WOBBLY"}}, "data": [1, {"x": None}]}

    report = read(minimal(capabilities={"gaitRecognition": entry}))

    assert report.checks == (Check("gaitRecognition", (), "rejected", "WOBBLY"),)
    assert report.oddities == ("unknown_capability:gaitRecognition",)
    assert json.loads(report.raw)["details"]["capabilities"]["gaitRecognition"] == entry


def test_a_check_without_a_decision_has_not_passed() -> None:
    report = read(minimal(capabilities={"liveness": [{"id": ID, "credentials": {"id": ID}}, "PASSED"]}))

    assert report.checks == (Check("liveness", (ID,), "warning", "NO_DECISION"),)
    assert set(report.oddities) == {"no_decision:liveness", "entry_not_object:liveness"}


def test_credentials_may_be_an_object_and_misspelt() -> None:
    credential = {"id": ID, "categrory": "ID", "parts": {"classifier": "FRONT", "href": "x"}}

    report = read(minimal(credentials=credential, capabilities={"usability": {"credentials": credential}}))

    assert report.parts == (Part(ID, "ID", "FRONT", offered=True),)
    assert report.checks[0].credential_ids == (ID,)


def test_malformed_parts_are_skipped_and_doubled_ones_taken_once() -> None:
    front, odd = {"classifier": "FRONT"}, [{"classifier": "../a"}, {}, None, {"classifier": ["BACK"]}]
    parts = [front, front | {"href": "x"}, front, *odd, {"classifier": 5, "href": ""}]
    credentials = [{"id": ID, "category": "ID", "parts": parts}, {"id": "../x", "parts": parts}, {"id": ID}, 5]

    report = read(minimal(credentials=credentials))

    assert report.parts == (Part(ID, "ID", "FRONT", offered=True), Part(ID, "ID", "5", offered=False))
    assert set(report.oddities) == {
        "entry_not_object:credentials", "entry_not_object:parts", "not_classifier:parts", "not_id:id",
        "not_text:classifier", "unknown_classifier:5",
    }  # fmt: skip


def extracted(**data: object) -> Report:
    return read(minimal(capabilities={"extraction": {"decision": {"type": "PASSED"}, "data": data}}))


@pytest.mark.parametrize("absent", [None, "", "N/A", "<<<<<<", " ", {}, [], True])
def test_what_jumio_leaves_out_in_its_many_ways_is_absent(absent: object) -> None:
    assert extracted(firstName="ANNA", lastName=absent).identities == (Identity(first_name="ANNA"),)
    assert extracted(lastName=absent).identities == ()


def test_misspelt_words_are_read_as_they_were_meant() -> None:
    report = extracted(type="DRIVING LICENSE", subType="UNKOWN", documentNumber=123)

    assert report.identities == (Identity("DRIVING_LICENSE", "UNKNOWN", document_number="123"),)


def test_texts_are_made_to_fit_a_column() -> None:
    report = extracted(firstName="A\0B", lastName="\ud800C", documentNumber="9" * 1001)

    assert report.identities == (Identity(first_name="A\ufffdB", last_name="\ufffdC", document_number="9" * 1000),)
    assert report.oddities == ("cut:documentNumber",)
    assert json.loads(report.raw)["details"]["capabilities"]["extraction"]["data"]["lastName"] == "\ud800C"


def test_steps_are_read_as_tolerantly() -> None:
    steps = {"steps": [{"id": 5}, {"id": ID, "name": "NEW", "decision": {"type": "PASSED"}}, None]}

    report = read(minimal(), steps)

    assert [(step.step_id, step.name, step.outcome, step.label) for step in report.steps] == [
        ("", "UNKNOWN", "warning", "NO_DECISION"),
        (ID, "NEW", "passed", "PASSED"),
    ]


@pytest.mark.parametrize("steps", [{}, {"steps": None}, {"steps": []}, {"steps": "x"}])
def test_no_steps_are_no_steps(steps: dict[str, Any]) -> None:
    assert read(minimal(), steps).steps == ()


def test_times_that_no_calendar_has_are_absent_and_odd() -> None:
    report = read(minimal(startedAt="2026-02-30T10:00:00Z", completedAt=5))

    assert (report.started_at, report.completed_at) == (None, None)
    assert report.oddities == ("not_time:startedAt", "not_time:completedAt")


def test_oddities_are_few_and_hold_no_values() -> None:
    names = {f"x{number}": 1 for number in range(500)} | {"O'Connell, 1988-07-19": {}}

    report = read(minimal(capabilities={"O'Connell": 1} | names))

    assert len(report.oddities) == 50
    assert not any("Connell" in code for code in report.oddities)


@pytest.mark.parametrize("status", ["PENDING", "pending", " Pending "])
@pytest.mark.parametrize("findings", [[], "w-2", ["w-2"], None])
def test_a_face_search_that_is_not_done_makes_a_report_provisional(status: str, findings: object) -> None:
    search = {"status": status, "findings": findings}
    entries = [{"decision": {"type": "PASSED"}, "data": data} for data in ({}, {"faceSearchFindings": search})]

    report = read(minimal(capabilities={"imageChecks": entries}))

    assert report.provisional
    assert report.oddities == ()


@pytest.mark.parametrize(
    "search", [None, {}, [], "PENDING", {"status": "DONE"}, {"status": ["PENDING"]}, {"findings": []}]
)
def test_any_other_face_search_does_not(search: object) -> None:
    entry = {"decision": {"type": "PASSED"}, "data": {"faceSearchFindings": search}}

    assert not read(minimal(capabilities={"imageChecks": entry})).provisional


def test_unknown_members_and_statuses_are_noted_by_name() -> None:
    report = read(minimal(gait=1, workflow={"id": WORKFLOW, "status": "QUEUED", "mood": "good"}))

    assert set(report.oddities) == {"unknown_status:QUEUED", "unknown_member:gait", "unknown_member:mood"}


def test_a_member_that_says_two_things_is_no_answer() -> None:
    twice = b'{"workflow": {"status": "PROCESSED"}, "decision": {"type": "%s"}, "decision": {"type": "PASSED"}}'

    with pytest.raises(JumioAnswerError):
        read_report(twice % b"REJECTED", None, account_id=ACCOUNT, workflow_key=WORKFLOW)
    assert read_report(twice % b"PASSED", None, account_id=ACCOUNT, workflow_key=WORKFLOW).decision is not None


@pytest.mark.parametrize("details", [{"label": "rejected"}, [{"label": "PASSED"}, {"label": "REJECTED"}], "REJECTED"])
def test_a_pass_beside_what_is_not_one_is_for_a_person_to_look_at(details: object) -> None:
    report = read(minimal(decision={"type": "PASSED", "details": details}))

    assert report.decision is not None
    assert report.decision.outcome == "warning"


def test_a_result_that_was_wiped_out_takes_none_back() -> None:
    wiped = {"wipedOutAt": "2026-01-01T00:00:00Z", "credentials": [], "capabilities": {}}

    with pytest.raises(JumioNotFoundError):
        read(minimal(**wiped, decision=None))
    kept = read(minimal(**wiped, decision={"type": "REJECTED"})).decision
    assert kept is not None
    assert kept.outcome == "rejected"


@pytest.mark.parametrize(
    "entry",
    [
        {"data": [{"faceSearchFindings": [{"status": "PENDING"}]}]},
        {"faceSearchFindings": {"status": "pending"}},
        {"data": {"FaceSearchFindings": {"Status": "PENDING"}}},
    ],
)
def test_a_search_that_goes_on_is_seen_wherever_it_is(entry: dict[str, Any]) -> None:
    assert read(minimal(capabilities={"imageChecks": [entry, {"data": {}}]})).provisional


@pytest.mark.parametrize(
    ("capability", "data", "member"),
    [
        ("imageChecks", {"faceSearchFindings": {"status": "RUNNING"}}, "status"),
        ("liveness", {"type": "NEWPROOF"}, "type"),
        ("similarity", {"similarity": "ALIKE"}, "similarity"),
        ("watchlistScreening", {"searchStatus": "LATER"}, "searchStatus"),
        ("extraction", {"gender": "Q"}, "gender"),
    ],
)
def test_a_new_word_of_a_known_list_is_noted(capability: str, data: dict[str, Any], member: str) -> None:
    entry = {"decision": {"type": "PASSED", "details": {"label": "TECHNICAL_ERROR"}}, "data": data}

    assert f"unknown_word:{member}" in read(minimal(capabilities={capability: entry})).oddities
