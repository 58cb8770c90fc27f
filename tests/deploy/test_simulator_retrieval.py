"""What the simulator answers has the shape of the samples and says what it expects to be concluded."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from deploy.simulator.faults import Faults
from deploy.simulator.images import draw
from deploy.simulator.outcomes import CATALOGUE
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from tests.deploy.simulator_client import Client, fixture


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


def shape(value: Any) -> Any:
    """Members and types; of a list the first one, because lists differ in length."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return float if isinstance(value, int | float) else type(value)


@pytest.fixture
def british(simulator: Simulator) -> Execution:
    """The sample's document is a British driving licence; so is this one's."""
    made = simulator.create(60, outcomes=["passed"])
    return next(each for each in made if each.case.subject.kind.country == "GBR")


def test_details_have_the_members_of_the_sample(client: Client, british: Execution) -> None:
    found, sample = client.workflow(british).json(), fixture("retrieval/kyx/details_all_capabilities.json")

    assert found["capabilities"].pop("gaitRecognition")
    for document in (found, sample):
        document["capabilities"]["extraction"][0]["data"]["currentAge"] = 0
    assert list(found) == list(sample)
    assert shape(found) == shape(sample)


@pytest.mark.parametrize("status", ["processed", "session_expired", "token_expired"])
def test_the_status_has_the_members_of_the_sample(client: Client, simulator: Simulator, status: str) -> None:
    outcome = "passed" if status == "processed" else f"{status}.gone"
    [execution] = simulator.create(outcomes=[outcome])

    found = client.workflow(execution, "/status").json()

    sample = fixture(f"retrieval/kyx/status_{status}.json")
    assert shape(found) == shape(sample)
    assert found["workflowExecution"]["status"] == sample["workflowExecution"]["status"]


def test_steps_have_the_members_of_the_sample(client: Client, british: Execution) -> None:
    found, sample = client.workflow(british, "/steps").json(), fixture("retrieval/kyx/steps.json")

    assert [shape(step) for step in found["steps"]] == [shape(step) for step in sample["steps"]]
    assert [step["name"] for step in found["steps"]] == [step["name"] for step in sample["steps"]]


def test_a_callback_has_the_members_of_the_sample(execution: Execution) -> None:
    body = json.loads(execution.callback("PROCESSED", execution.opened_at))

    assert shape(body) == shape(fixture("callbacks/kyx/processed_full.json"))


def test_expired_workflows_come_in_all_forms(client: Client, simulator: Simulator) -> None:
    gone, older, newer = simulator.create(
        3, outcomes=["token_expired.gone", "token_expired.older", "token_expired.newer"]
    )

    assert client.workflow(gone).status_code == client.workflow(gone, "/steps").status_code == 404
    assert client.workflow(older).json()["decision"]["risk"]["score"] == 100
    assert "startedAt" not in client.workflow(older).json()
    assert shape(client.workflow(newer).json()) == shape(fixture("retrieval/kyx/details_token_expired_newer.json"))
    assert {each.expectation.outcome for each in (gone, older, newer)} == {"expired"}


def test_workflows_of_before_the_platform_have_checks_and_no_decision(client: Client, simulator: Simulator) -> None:
    liked, disliked = simulator.create(2, outcomes=["v3.all_passed", "v3.no_match"])

    found = client.workflow(disliked).json()

    assert not {"decision", "steps"} & found.keys()
    assert found["capabilities"]["similarity"][0]["decision"]["details"]["label"] == "NO_MATCH"
    assert client.workflow(disliked, "/steps").status_code == 404
    assert (liked.expectation.outcome, disliked.expectation.outcome) == ("warning", "rejected")
    assert not liked.suffers("corrected")


@pytest.mark.parametrize("outcome", [each.name for each in CATALOGUE if each.expected in {"rejected", "warning"}])
def test_details_tell_what_is_expected(client: Client, simulator: Simulator, outcome: str) -> None:
    [execution] = simulator.create(outcomes=[outcome])

    found = client.workflow(execution).json()

    decisions = {
        (name, entry["decision"]["details"]["label"]): entry["decision"]["type"]
        for name, entries in found["capabilities"].items()
        for entry in entries
    }
    assert found["decision"]["type"].lower() == execution.expectation.outcome == outcome.partition(".")[0]
    assert outcome.partition(".")[2] in {label.lower() for _, label in execution.expectation.failed_checks}
    assert all(decisions[check] in {"REJECTED", "WARNING"} for check in execution.expectation.failed_checks)
    if outcome == "rejected.digital_copy":
        dependents = {name for name, label in decisions if label == "PRECONDITION_NOT_FULFILLED"}
        assert {"extraction", "dataChecks", "watchlistScreening"} <= dependents
        assert "similarity" not in dependents


def test_every_listed_part_can_be_read_and_images_are_what_they_say(client: Client, execution: Execution) -> None:
    seen = set()
    for credential, classifier in execution.images:
        answer = client.part(execution, credential, classifier)
        image = Image.open(io.BytesIO(answer.content))
        image.load()
        seen.add(answer.headers["content-type"])
        assert answer.headers["content-type"] == f"image/{(image.format or '').lower()}"
        assert 20_000 <= len(answer.content) <= 300_000

    assert seen <= {"image/jpeg", "image/png"}
    facemap, data = execution.credentials[2:]
    assert client.part(execution, facemap, "FACEMAP").status_code == 404
    assert client.part(execution, data, "PREPARED_DATA").json().keys() == {"firstName", "lastName"}


def test_backs_are_png_and_liveness_is_jpeg_the_same_each_time() -> None:
    assert draw("an-id", "BACK").media_type == "image/png"
    assert draw("an-id", "LIVENESS_1").media_type == "image/jpeg"
    assert draw("an-id", "FRONT") == draw.__wrapped__("an-id", "FRONT")
    assert draw("an-id", "FRONT") != draw("other-id", "FRONT")


def test_nothing_is_found_under_another_account_or_after_deletion(client: Client, simulator: Simulator) -> None:
    mine, other = simulator.create(2, outcomes=["passed"])
    account, other_account = (f"/api/v1/accounts/{each.account_id}" for each in (mine, other))

    assert client.get(f"{other_account}/workflow-executions/{mine.key}").status_code == 404
    assert client.get(f"{other_account}/credentials/{mine.images[0][0]}/parts/FRONT").status_code == 404
    assert client.get(f"{account}/workflow-executions/unknown").json() == fixture("errors/kyx_404.json")

    assert client.delete(f"{account}/workflow-executions/{mine.key}").status_code == 200
    assert client.workflow(mine).status_code == client.part(mine, *mine.images[0]).status_code == 404
    assert client.delete(other_account).status_code == 200
    assert client.workflow(other).status_code == client.delete(other_account).status_code == 404
