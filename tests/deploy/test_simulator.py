"""The simulator from outside: tokens, manners, the whole; nothing but sockets between."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from deploy.simulator.faults import FAULTS, Faults
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution, invent_executions
from tests.deploy.simulator_client import Client, fixture, receiving


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


def test_a_token_says_when_it_ends_and_is_handed_out_again_with_less_time(client: Client) -> None:
    client.simulator.world.tokens.revoke()

    first, second = client.token().json(), client.token().json()

    assert set(first) == set(fixture("other/oauth_token.json"))
    assert first["access_token"] == second["access_token"]
    assert second["expires_in"] < first["expires_in"] <= 3600
    claims = first["access_token"].split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"] > time.time() + 3500


@pytest.mark.parametrize(
    "changes",
    [{"auth": ("nobody", "wrong")}, {"auth": None}, {"headers": {"authorization": "Basic %%%"}, "auth": None}],
    ids=["wrong", "none", "not base64"],
)
def test_wrong_credentials_get_no_token(client: Client, changes: dict[str, Any]) -> None:
    del client.headers["authorization"]

    answer = client.token(**changes)

    assert answer.status_code == 400
    assert answer.json() == fixture("errors/oauth_400_invalid_client.json")


def test_another_grant_type_gets_no_token(client: Client) -> None:
    assert client.token(data={"grant_type": "password"}).status_code == 400


@pytest.mark.parametrize("agent", ["", "python-httpx2/2.16", "python-requests/2.34", "curl/8.5", "Go-http-client/1.1"])
def test_a_client_that_does_not_say_who_it_is_is_refused(client: Client, execution: Execution, agent: str) -> None:
    client.headers["user-agent"] = agent

    assert client.token().status_code == 403
    assert client.workflow(execution).status_code == 403
    assert client.workflow(execution).json() == fixture("errors/kyx_403.json")


def test_a_read_needs_a_valid_token_and_no_password(client: Client, execution: Execution) -> None:
    del client.headers["authorization"]
    assert client.workflow(execution).status_code == 401
    assert client.workflow(execution).json() == fixture("errors/kyx_401.json")

    client.headers["authorization"] = "Bearer invented"
    assert client.workflow(execution).status_code == 401

    client.headers["authorization"] = "Basic " + base64.b64encode(":".join(client.credentials).encode()).decode()
    assert client.workflow(execution).status_code == 403


def test_a_revoked_token_is_worth_nothing_and_the_next_one_works(client: Client, execution: Execution) -> None:
    client.simulator.world.tokens.revoke()
    assert client.workflow(execution).status_code == 401

    client.authorize()
    assert client.workflow(execution).status_code == 200


def test_a_token_ends() -> None:
    with Simulator(seed="short", token_seconds=0.2) as simulator, Client(simulator) as client:
        [execution] = simulator.create(outcomes=["passed"])
        time.sleep(0.3)

        assert client.workflow(execution).status_code == 401


def test_haste_beyond_the_rate_limit_is_answered_429_and_counted() -> None:
    with Simulator(seed="hasty", rate_limit=3) as simulator, Client(simulator) as client:
        [execution] = simulator.create(outcomes=["passed"])

        answers = [client.workflow(execution, "/status").status_code for _ in range(5)]

        assert answers == [200, 200, 200, 429, 429]
        assert simulator.stats.highest_rate() == 5
        assert simulator.stats.counts == {"token": 1, "status": 5}
        assert client.get("/_control/stats").json()["answers"]["status 429"] == 2


def test_the_status_page_is_up(client: Client) -> None:
    assert client.get("/").json() == client.get("/status-page").json() == fixture("other/health_up.json")


def test_while_the_status_page_says_down_nothing_can_be_read(client: Client, execution: Execution) -> None:
    troubled = fixture("other/health_down.json")
    with Simulator(seed="down") as simulator, Client(simulator) as other:
        [lost] = simulator.create(outcomes=["passed"])
        [scan] = simulator.create_legacy("netverify")

        simulator.say_status(troubled["status"], troubled["details"])
        assert other.get("/").json() == troubled
        assert other.workflow(lost).status_code == other.v2(f"scans/{scan.key}").status_code == 503

        assert other.post("/_control/status", json={"status": "DEGRADED", "details": {"callback": "DOWN"}}).is_success
        assert other.post("/_control/status", json={"status": "ILL"}).status_code == 400
        assert other.get("/").json() == {"status": "DEGRADED", "details": {"callback": "DOWN"}}
        assert other.workflow(lost).status_code == other.v2(f"scans/{scan.key}").status_code == 200
    assert client.workflow(execution).status_code == 200


def test_every_fault_is_dealt_at_least_once_and_everything_can_be_read_in_the_end() -> None:
    faults = Faults("all", late_seconds=0.1, slow_seconds=0.02)
    mix = {"kyx": 12, "netverify": 4}
    with Simulator(seed="all", faults=faults) as simulator, Client(simulator) as client, receiving() as receiver:
        report = simulator.play(receiver.url, 16, rate=None, faults=list(FAULTS), families=mix, correct_within=0.1)

        assert {name for each in report.workflows for name in each.faults} == set(FAULTS)
        for each in report.workflows:
            answers = []
            for _ in range(12):
                if each.family == "netverify":
                    answers.append(client.v2(f"scans/{each.key}/data"))
                    continue
                answers.append(client.get(f"/api/v1/accounts/{each.account_id}/workflow-executions/{each.key}"))
                if answers[-1].status_code == 401:
                    client.authorize()
            assert answers[-1].status_code == (404 if each.expectation.label is None else 200)


def test_the_same_seed_invents_the_same() -> None:
    def told(seed: int) -> list[Any]:
        made = invent_executions(seed, 30)
        return [
            (each.key, each.details, each.steps, each.callback("X", each.opened_at), each.expectation) for each in made
        ]

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_the_environment_is_what_the_product_needs(simulator: Simulator) -> None:
    environment = simulator.environment()

    assert environment["DNS_SERVERS"] == simulator.dns_address
    assert environment["JUMIO_RETRIEVAL_URL"] == simulator.base_url
    assert all(isinstance(value, str) and value for value in environment.values())


PROGRAM = """
import json, sys
from schemas.logs import configure_logs
from deploy.simulator.program import Play, simulate
configure_logs("json")
say = lambda found: print(json.dumps(dict(found)), flush=True)
wanted = Play(sys.argv[1], workflows=2, rate=None, faults=["duplicate=1"], seed=5, serve=True)
report = simulate(wanted, announce=say)
print(len(report.sent), flush=True)
"""


def test_it_runs_as_a_program_of_its_own_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    with (
        receiving() as receiver,
        subprocess.Popen([*command, receiver.url], stdout=subprocess.PIPE, text=True) as program,
    ):
        assert program.stdout is not None
        environment = json.loads(program.stdout.readline())
        deadline = time.monotonic() + 10
        while len(receiver.got) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        answer = httpx2.get(environment["JUMIO_STATUS_URL"], headers={"user-agent": "Example Onboarding/1.0"})
        program.terminate()
        rest = program.stdout.read()

    assert answer.json() == {"status": "UP"}
    assert rest.strip().endswith("6")
    assert program.returncode == 0
