"""Each fault at least once: callbacks first, then reads."""

import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import unquote_plus

import httpx2
import pytest

from deploy.simulator.faults import Faults
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from tests.deploy.simulator_client import FIXTURES, Client, Receiver, fixture, read_form, receiving


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    faults = Faults("tests", late_seconds=0.3, slow_seconds=0.2, drip_bytes=20)
    with Simulator(seed="tests", faults=faults) as simulator:
        yield simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Client]:
    with Client(simulator) as client:
        yield client


@pytest.fixture
def execution(simulator: Simulator) -> Execution:
    [execution] = simulator.create(outcomes=["passed"])
    return execution


def test_a_callback_comes_from_an_address_of_the_zone(simulator: Simulator) -> None:
    with receiving() as receiver:
        report = simulator.play(receiver.url, 6, rate=None, outcomes=["passed"])

    assert {sender for sender, _, _ in receiver.got} <= set(simulator.dns.addresses())
    assert "127.0.0.1" not in {sender for sender, _, _ in receiver.got}
    assert {media_type for _, media_type, _ in receiver.got} == {"application/json"}
    assert [sent.answer for sent in report.sent] == [200] * 6
    assert report.not_kept == ()
    json.dumps(report.as_dict())


def test_a_refused_or_unreachable_callback_is_recorded_and_not_sent_again(simulator: Simulator) -> None:
    with receiving(answer=503) as receiver:
        report = simulator.play(receiver.url, 1, faults={})
    unreachable = simulator.play(receiver.url, 1)

    assert len(receiver.got) == len(report.not_kept) == 1
    assert [(sent.answer, sent.error) for sent in unreachable.sent] == [(None, "ConnectError")]


def played(simulator: Simulator, fault: str) -> Receiver:
    [execution] = simulator.create(outcomes=["passed"])
    simulator.faults.give(execution.key, fault)
    with receiving() as receiver:
        started = time.monotonic()
        report = simulator.play(receiver.url, [execution])
        assert report.seconds <= time.monotonic() - started
    assert report.workflows[0].faults == (fault,)
    assert report.not_kept == report.forged_kept == ()
    return receiver


def test_late(simulator: Simulator) -> None:
    started = time.monotonic()

    played(simulator, "late")

    assert time.monotonic() - started >= 0.3


def test_duplicate(simulator: Simulator) -> None:
    bodies = [body for _, _, body in played(simulator, "duplicate").got]

    first, last = json.loads(bodies[0]), json.loads(bodies[2])
    assert bodies[0] == bodies[1] != bodies[2]
    assert first.pop("callbackSentAt") < last.pop("callbackSentAt")
    assert first == last


def test_out_of_order(simulator: Simulator) -> None:
    receiver = played(simulator, "out_of_order")

    times = [json.loads(body)["callbackSentAt"] for _, _, body in receiver.got]
    assert receiver.statuses == ["PROCESSED", "ACQUIRED", "ACQUISITION_STARTED", "INITIATED"]
    assert times == sorted(times, reverse=True)


def test_wrong_source(simulator: Simulator) -> None:
    forged, genuine = played(simulator, "wrong_source").got

    assert forged[0] == "127.0.0.66"
    assert genuine[0] in simulator.dns.addresses()
    assert forged[2] == genuine[2]


def test_intermediate_statuses_come_in_order_where_asked_for(simulator: Simulator) -> None:
    with receiving() as receiver:
        simulator.play(receiver.url, 1, outcomes=["session_expired.gone"], intermediate=True)

    assert receiver.statuses == ["INITIATED", "ACQUISITION_STARTED", "SESSION_EXPIRED"]


def test_corrected(simulator: Simulator, client: Client, execution: Execution) -> None:
    simulator.faults.give(execution.key, "corrected")
    reports = []
    with receiving() as receiver:
        play = threading.Thread(target=lambda: reports.append(simulator.play(receiver.url, [execution])))
        play.start()
        first = client.workflow(execution).json()
        play.join()
    second = client.workflow(execution).json()

    [workflow] = reports[0].workflows
    assert receiver.statuses == ["PROCESSED", "PROCESSED"]
    assert (first["decision"]["type"], second["decision"]["type"]) == ("PASSED", "REJECTED")
    assert first["workflow"] == second["workflow"]
    assert first["credentials"] == second["credentials"]
    assert workflow.expectation.outcome == "rejected"
    assert workflow.revised_from is not None


def test_a_result_that_nobody_reads_is_not_corrected(simulator: Simulator, execution: Execution) -> None:
    simulator.faults.give(execution.key, "corrected")
    with receiving() as receiver:
        report = simulator.play(receiver.url, [execution], correct_within=0.1)

    assert len(receiver.got) == 1
    assert report.workflows[0].expectation.outcome == "passed"


def suffering(simulator: Simulator, count: int, fault: str) -> list[Execution]:
    made = simulator.create(count, outcomes=["passed"])
    for each in made:
        simulator.faults.give(each.key, fault)
    return made


def test_too_many_requests_with_and_without_a_hint(simulator: Simulator, client: Client) -> None:
    answers = [client.workflow(each) for each in suffering(simulator, 4, "429")]

    assert {answer.status_code for answer in answers} == {429}
    assert answers[0].json() == fixture("errors/kyx_429.json")
    [once] = suffering(simulator, 1, "429")
    assert [client.workflow(once, path).status_code for path in ("", "", "/steps")] == [429, 200, 200]
    hints = {answer.headers.get("retry-after") for answer in answers}
    hints |= {client.workflow(each).headers.get("retry-after") for each in suffering(simulator, 12, "429")}
    assert hints == {"1", None}


def test_server_errors_of_three_kinds(simulator: Simulator, client: Client) -> None:
    made = suffering(simulator, 15, "5xx")

    answers = [client.workflow(each) for each in made]

    assert {answer.status_code for answer in answers} == {500, 502, 503}
    bad_gateway = next(answer for answer in answers if answer.status_code == 502)
    assert bad_gateway.text.strip() == (FIXTURES / "errors/gateway_502.html").read_text().strip()
    assert {client.workflow(each).status_code for each in made} == {200}


def test_slow_answers_come_whole(simulator: Simulator, client: Client) -> None:
    for each in suffering(simulator, 4, "slow"):
        started = time.monotonic()
        assert client.workflow(each).json()["workflow"]["id"] == each.key
        assert time.monotonic() - started >= 0.2

        assert len(client.part(each, *each.images[0]).content) > 20_000


def test_not_ready(simulator: Simulator, client: Client) -> None:
    seen = set()
    for each in suffering(simulator, 8, "not_ready"):
        assert client.workflow(each, "/status").json()["workflowExecution"]["status"] == "ACQUIRED"
        early = client.workflow(each)
        seen.add(early.status_code if early.status_code == 404 else early.json()["workflow"]["status"])
        assert client.workflow(each).json()["workflow"]["status"] == "PROCESSED"

    assert seen == {404, "ACQUIRED"}


def test_the_face_search_may_end_later_and_change_the_result(simulator: Simulator, client: Client) -> None:
    [found, clean] = simulator.create(2, outcomes=["warning.repeated_face", "rejected.no_match"])
    for each in (found, clean):
        simulator.faults.give(each.key, "findings_pending")
    with receiving() as receiver:
        report = simulator.play(receiver.url, [found, clean])

    first, second = (client.workflow(found).json() for _ in range(2))
    searches = [
        each["capabilities"]["imageChecks"][0]["data"]["faceSearchFindings"]["status"] for each in (first, second)
    ]
    assert searches == ["PENDING", "DONE"]
    assert (first["decision"]["type"], second["decision"]["type"]) == ("PASSED", "WARNING")
    assert first["credentials"] == second["credentials"]
    assert report.workflows[0].revised_from is not None
    assert report.workflows[0].revised_from.outcome == "passed"
    assert client.workflow(clean).json()["decision"] == client.workflow(clean).json()["decision"]
    assert report.workflows[1].revised_from is None


def test_json_can_call_itself_a_form_and_be_encoded_as_one(simulator: Simulator) -> None:
    made = simulator.create(12, outcomes=["passed"])
    for each in made:
        simulator.faults.give(each.key, "old_encoding")
    with receiving() as receiver:
        simulator.play(receiver.url, made, rate=None)

    assert {media_type for _, media_type, _ in receiver.got} == {"application/x-www-form-urlencoded"}
    raw, whole, members = (
        [body for _, _, body in receiver.got if body.startswith(start)] for start in (b"{", b"%7B", b"callbackSentAt=")
    )
    ids = [
        *(json.loads(body)["workflowExecution"]["id"] for body in raw),
        *(json.loads(unquote_plus(body.decode()))["workflowExecution"]["id"] for body in whole),
        *(json.loads(read_form(body)["workflowExecution"])["id"] for body in members),
    ]
    assert all((raw, whole, members))
    assert sorted(ids) == sorted(each.key for each in made)


def test_malformed(simulator: Simulator, client: Client) -> None:
    bodies = []
    for each in suffering(simulator, 20, "malformed"):
        bodies.append(client.workflow(each).content)
        assert client.workflow(each).json()["workflow"]["id"] == each.key

    assert b"" in bodies
    assert any(b"NaN" in body for body in bodies)
    assert any(b"\\u0000" in body for body in bodies)
    assert any(body.startswith(b"[") for body in bodies)
    assert any(body.startswith(b"{") and not body.endswith(b"}") for body in bodies)


def test_a_token_revoked_early(simulator: Simulator, client: Client) -> None:
    [execution] = suffering(simulator, 1, "token_expired_early")

    assert client.workflow(execution).status_code == 401
    assert client.workflow(execution).status_code == 401
    client.authorize()
    assert client.workflow(execution).status_code == client.workflow(execution, "/steps").status_code == 200


def test_a_truncated_image_breaks_off(simulator: Simulator, client: Client) -> None:
    [execution] = suffering(simulator, 1, "truncated_image")

    with pytest.raises(httpx2.RemoteProtocolError):
        client.part(execution, *execution.images[0])
    assert len(client.part(execution, *execution.images[0]).content) > 20_000


@pytest.mark.parametrize(("fault", "status", "start"), [("not_an_image", 200, b"<html"), ("missing_image", 404, b"{")])
def test_an_image_that_is_none(simulator: Simulator, client: Client, fault: str, status: int, start: bytes) -> None:
    [execution] = suffering(simulator, 1, fault)

    answer = client.part(execution, *execution.images[0])

    assert answer.status_code == status
    assert answer.content.startswith(start)
    assert client.part(execution, *execution.images[0]).headers["content-type"].startswith("image/")
