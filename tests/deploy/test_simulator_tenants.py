"""Several customers of one Jumio: apart in everything, counted apart, and told to the product in one file."""

import time
import tomllib
from collections import Counter
from collections.abc import Iterator

import pytest

from deploy.simulator.mix import divide, parse_families
from deploy.simulator.run import Simulator
from deploy.simulator.stats import LEGACY
from deploy.simulator.tenant import Manners
from tests.deploy.simulator_client import Client, receiving


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed="tenants") as simulator:
        simulator.add_tenant("twin", "emea-1", seed="tenants", manners=Manners(rate_limit=2, legacy_rate_limit=3))
        simulator.add_tenant("far", "apac-1")
        yield simulator


def test_the_same_id_in_two_tenants_stays_apart(simulator: Simulator) -> None:
    twin = simulator.tenants["twin"]
    with Simulator(seed="tenants") as first, Client(first) as client:
        other = first.add_tenant("twin", "emea-1", seed="tenants")
        [passed] = first.create(outcomes=["passed"])
        [rejected] = other.create(outcomes=["rejected.no_match"])
        with Client(first, "twin") as their:
            decisions = [
                reader.workflow(each).json()["decision"]["type"]
                for reader, each in ((client, passed), (their, rejected))
            ]
            their.headers["authorization"] = client.headers["authorization"]
            assert their.workflow(rejected).status_code == 401
            assert their.v2("scans/any", auth=(client.tenant.legacy_token, client.tenant.legacy_secret)).is_error

        assert passed.key == rejected.key
        assert decisions == ["PASSED", "REJECTED"]
        assert (twin.client_id, twin.base_url) != (simulator.client_id, simulator.base_url)


def test_the_file_of_tenants_names_them_as_the_environment_does(simulator: Simulator) -> None:
    found = tomllib.loads(simulator.tenants_toml())

    environment = {name.lower(): value for name, value in simulator.environment().items() if name.startswith("JUMIO")}
    assert list(found) == ["default", "twin", "far"]
    assert found["default"] == environment | {"jumio_retrieval_rate": "15/s"}
    assert [table["jumio_region"] for table in found.values()] == ["amer-1", "emea-1", "apac-1"]
    assert found["far"].keys() == environment.keys() | {"jumio_retrieval_rate", "callback_secrets"}
    assert len({table["jumio_legacy_url"] for table in found.values()}) == 3
    assert simulator.tenants["far"].callback_path == f"/callbacks/far/{found['far']['callback_secrets']}"


def test_a_tenant_has_one_name_only(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="twin"):
        simulator.add_tenant("twin")


def test_requests_are_counted_by_tenant_and_by_generation(simulator: Simulator) -> None:
    twin, far = simulator.tenants["twin"], simulator.tenants["far"]
    [execution], [scan] = twin.create(outcomes=["passed"]), twin.create_legacy("netverify")
    with Client(simulator, "twin") as client:
        newer = [client.workflow(execution, "/status").status_code for _ in range(4)]
        older = [client.v2(f"scans/{scan.key}").status_code for _ in range(5)]

    assert newer == [200, 200, 429, 429]
    assert older == [200, 200, 200, 429, 429]
    assert (twin.stats.highest_rate(), twin.stats.highest_rate(*LEGACY)) == (4, 5)
    assert twin.stats.highest_rate(*LEGACY, seconds=5.0) == 5
    assert far.stats.highest_rate() == 0
    assert all(0 <= time.monotonic() - at < 60 for at in twin.stats.times(*LEGACY))


def test_a_region_that_is_down_leaves_the_others_alone(simulator: Simulator) -> None:
    simulator.say_status("DOWN", region="apac-1")
    [there], [here] = simulator.tenants["far"].create(), simulator.create(outcomes=["passed"])
    with Client(simulator, "far") as far, Client(simulator) as near:
        assert far.workflow(there).status_code == 503
        assert near.workflow(here).status_code == 200
    simulator.say_status("UP", region="apac-1")
    with pytest.raises(ValueError, match="BROKEN"):
        simulator.say_status("BROKEN")  # type: ignore[arg-type]


def test_families_are_played_in_their_proportion_among_each_other(simulator: Simulator) -> None:
    mix = {"kyx": 3, "netverify": 1, "authentication": 1, "document": 1}
    with receiving() as receiver:
        report = simulator.play(receiver.url, 12, rate=None, families=mix, tenant="far", outcomes=["passed"])

    order = [each.family for each in report.workflows]
    assert Counter(order) == {"kyx": 6, "netverify": 2, "authentication": 2, "document": 2}
    assert order != sorted(order, key=["kyx", "netverify", "authentication", "document"].index)
    assert {each.expectation.outcome for each in report.workflows if each.family == "kyx"} == {"passed"}
    assert Counter(media_type for _, media_type, _ in receiver.got) == {
        "application/json": 6,
        "application/x-www-form-urlencoded": 6,
    }
    assert all(each.account_id == "" for each in report.workflows if each.family != "kyx")


def test_shares_are_whole_numbers_and_words_are_checked() -> None:
    assert parse_families(["kyx=60", "document"]) == {"kyx": 60.0, "document": 1.0}
    assert divide(7, parse_families(["kyx=1", "netverify=1", "document=1"])) == {
        "kyx": 3,
        "netverify": 2,
        "document": 2,
    }
    for wrong in (["fastfill"], [], ["kyx=0"], {"kyx": -1.0}):
        with pytest.raises(ValueError, match="famil"):
            parse_families(wrong)
