"""Real processes on a real Valkey: whatever happens to it, Jumio sees no more than the rate in any second."""

import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from deploy.embedded.wheels import valkey_server
from schemas.settings import Tenant
from tests.waiting import until
from tests.workers.jumio.scripted import Asked, Script, Server, reply, tenant_at
from workers.errors import WaitError
from workers.jumio import budget as budget_module
from workers.jumio.budget import ASSUMED_HOSTS, PATIENCE_SECONDS, Budget, BudgetError, Fleet, Kind, Use, spacing

ROOT = Path(__file__).parents[3]
RATE = 15
PROCESSES = 8
KINDS: tuple[Kind, ...] = ("kyx", "legacy")
USES: tuple[Use, ...] = ("images", "details")
NOWHERE = "redis://127.0.0.1:9/0"
# One worker process: takes and asks until its stdin ends.
HAMMER = """
import random, sys, threading, time
from tests.workers.jumio.scripted import tenant_at
from workers.errors import WaitError
from workers.jumio.budget import Budget, Fleet
from workers.jumio.transport import Http
url, broker, index, use, *late = sys.argv[1:]
fleet, http = Fleet(broker, processes=8, index=int(index)), Http()
budget = Budget(tenant_at(url, name="hammered"), fleet)
print("ready", flush=True)
sys.stdin.readline()
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.is_set():
    try:
        with budget.turn(use):
            time.sleep(float(random.choice(late or [0])))
            http.ask(f"{url}/{use}", asked="x", headers={}, at_most=100)
    except WaitError:
        continue  # as if the next row came at once
"""


class Arrivals:
    """When the server was asked, and for what."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str]] = []

    def __call__(self, asked: Asked) -> Script:
        self.seen.append((time.monotonic(), asked.path.removeprefix("/")))
        return [reply(200, b"{}")]

    def between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at, _ in self.seen)

    def highest(self) -> int:
        """The most within any one second, as the simulator counts."""
        times = sorted(at for at, _ in self.seen)
        return max(sum(first <= at < first + 1.0 for at in times[index:]) for index, first in enumerate(times))


@contextmanager
def hammering(url: str, broker_url: str, uses: list[str], late: Sequence[str] = ()) -> Iterator[None]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HAMMER, url, broker_url, str(index), use, *late],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index, use in enumerate(uses)
    ]
    pipes: list[Any] = [(process.stdin, process.stdout) for process in processes]
    try:
        for _, output in pipes:
            assert output.readline() == "ready\n"
        for given, _ in pipes:
            given.write("go\n")
            given.flush()
        yield
    finally:
        for given, _ in pipes:
            given.close()
        for process, (_, output) in zip(processes, pipes, strict=True):
            assert process.wait(timeout=20) == 0
            output.close()


class Valkey:
    """A server of one's own, to be stopped; it forgets everything."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.start()

    def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen(
            [str(valkey_server(None)), *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        until(self._answers)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def flushed(broker_url: str) -> str:
    with redis.Redis.from_url(broker_url) as client:
        client.delete(*client.keys("jumio:budget:hammered:*"), *client.keys("jumio:budget:acme:*"), "nothing")
    return broker_url


def tenant(rate: float = RATE) -> Tenant:
    return tenant_at("http://127.0.0.1:9", name="acme").model_copy(update={"retrieval_rate": rate})


def budget_of(broker_url: str, *, rate: float = RATE, kind: Kind = "kyx", processes: int = 4) -> Budget:
    return Budget(tenant(rate), Fleet(broker_url, processes=processes), kind)


def take(budget: Budget, use: Use) -> None:
    with budget.turn(use):
        pass


def taken_within(budget: Budget, seconds: float, use: Use = "details") -> int:
    count, ends_at = 0, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        take(budget, use)
        count += 1
    return count


def test_eight_processes_stay_within_the_rate_and_use_it_though_redis_forgets(valkey: Valkey) -> None:
    arrivals = Arrivals()

    with Server(arrivals) as server, hammering(server.url, valkey.url, ["details"] * PROCESSES):
        began = time.monotonic()
        time.sleep(1.2)
        valkey.flush()
        time.sleep(2.3)
        ended = time.monotonic()

    assert arrivals.highest() <= RATE
    assert arrivals.between(began, ended) >= 0.8 * RATE * (ended - began)


def test_a_host_that_has_no_time_for_its_workers_stays_within_the_rate(valkey: Valkey) -> None:
    arrivals = Arrivals()
    late = ("0", "0", "0.7")

    with Server(arrivals) as server, hammering(server.url, valkey.url, ["details"] * 2 * PROCESSES, late):
        time.sleep(3.5)

    assert arrivals.highest() <= RATE
    assert len(arrivals.seen) >= 0.4 * RATE * 3.5


def test_eight_processes_stay_within_the_rate_while_redis_goes_and_comes(valkey: Valkey) -> None:
    arrivals = Arrivals()

    with Server(arrivals) as server, hammering(server.url, valkey.url, ["details"] * PROCESSES):
        time.sleep(1)
        valkey.stop()
        stopped = time.monotonic()
        time.sleep(4)
        valkey.start()
        back = time.monotonic()
        time.sleep(4.5)
        ended = time.monotonic()

    assert arrivals.highest() <= RATE
    assert 0 < arrivals.between(stopped + 2, back) <= RATE / ASSUMED_HOSTS * (back - stopped - 2) + 1
    assert arrivals.between(ended - 1.5, ended) >= 0.75 * RATE * 1.5


def test_documents_come_first_and_images_keep_their_share(valkey: Valkey) -> None:
    arrivals = Arrivals()
    uses = ["details"] * 2 + ["images"] * 4

    with Server(arrivals) as server, hammering(server.url, valkey.url, uses):
        time.sleep(3)

    served = Counter(use for _, use in arrivals.seen)
    assert arrivals.highest() <= RATE
    assert served["details"] + served["images"] >= 0.75 * RATE * 3
    assert served["details"] > 1.4 * served["images"]
    assert served["images"] >= 0.2 * served.total()


@pytest.mark.parametrize("use", ["details", "images"])
def test_who_is_alone_has_it_all(flushed: str, use: Use) -> None:
    assert taken_within(budget_of(flushed), 1.0, use) >= 0.75 * RATE


def test_the_generations_have_budgets_of_their_own(flushed: str) -> None:
    counts: dict[str, int] = {}

    def run(kind: Kind) -> None:
        counts[kind] = taken_within(budget_of(flushed, kind=kind), 1.0)

    threads = [threading.Thread(target=run, args=[kind]) for kind in KINDS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert min(counts.values()) >= 0.75 * RATE


@pytest.mark.parametrize(("kyx", "legacy"), [(15, 15), (5, 15), (100, 15), (15, 45)])
def test_each_generation_has_a_rate_of_its_own(flushed: str, kyx: float, legacy: float) -> None:
    of_both = tenant(kyx).model_copy(update={"legacy_rate": legacy})
    counts = {kind: taken_within(Budget(of_both, Fleet(flushed, processes=4), kind), 0.7) for kind in KINDS}

    assert 0.35 * kyx <= counts["kyx"] <= kyx
    assert 0.35 * legacy <= counts["legacy"] <= legacy


@pytest.mark.parametrize("rate", [0.1, 0.5, 1, 1.5, 2.5, 15, 45, 1000])
def test_no_second_holds_more_slots_than_the_rate(rate: float) -> None:
    in_a_second = 1 / spacing(rate)

    assert in_a_second <= rate
    if rate >= 1:
        assert int(rate) * spacing(rate) >= 1 + budget_module.SLACK_SECONDS


def test_a_slot_far_off_sends_the_row_away(flushed: str) -> None:
    budget = budget_of(flushed, rate=0.1)
    began = time.monotonic()

    with pytest.raises(WaitError, match=r"^budget: ") as raised:
        take(budget, "details")

    assert time.monotonic() - began < PATIENCE_SECONDS
    assert 5.0 <= (raised.value.retry_after or 0) <= 11.5


@pytest.mark.parametrize(("wish", "seconds"), [(None, 5.0), (17.0, 17.0), (0.0, 1.0), (1e9, 3600.0)])
def test_a_429_pauses_everyone(flushed: str, wish: float | None, seconds: float) -> None:
    told, other, elsewhere = budget_of(flushed), budget_of(flushed), budget_of(flushed, kind="legacy")

    with capture_logs() as logs:
        error = told.pause(wish)

    assert isinstance(error, BudgetError)
    assert error.retry_after == seconds
    assert [entry["event"] for entry in logs] == ["budget.paused"]
    take(elsewhere, "details")
    if seconds > PATIENCE_SECONDS:
        for budget in (told, other):
            with pytest.raises(BudgetError) as raised:
                take(budget, "images")
            assert seconds - 1 <= (raised.value.retry_after or 0) <= max(seconds, 5.0)


def test_a_shorter_pause_does_not_end_a_longer_one(flushed: str) -> None:
    budget = budget_of(flushed)
    budget.pause(30.0)
    budget.pause(1.0)

    with pytest.raises(BudgetError) as raised:
        take(budget, "details")

    assert (raised.value.retry_after or 0) > 20


def test_a_clock_that_was_set_back_holds_nobody_up(flushed: str) -> None:
    far = str(int((time.time() + 86_400) * 1_000_000))
    with redis.Redis.from_url(flushed) as client:
        client.hset("jumio:budget:acme:kyx", mapping=dict.fromkeys(["next", "paused", "details", "images"], far))
        client.zadd("jumio:budget:acme:kyx:flights", {str(ticket): far for ticket in range(RATE)})

    for use in USES:
        take(budget_of(flushed), use)


@pytest.mark.parametrize("value", [b"", b"nonsense", b"-1", b"1e999"])
def test_a_value_of_someone_else_is_no_harm(flushed: str, value: bytes) -> None:
    with redis.Redis.from_url(flushed) as client:
        client.hset("jumio:budget:acme:kyx", mapping={"next": value, "run": value})

    budget = budget_of(flushed)

    # What came of it would be a wait that is too long for one turn, and a WaitError.
    for _ in range(5):
        take(budget, "details")


@pytest.mark.parametrize("broker", [NOWHERE, "amqp://guest@127.0.0.1:5672//"])
def test_without_redis_a_process_keeps_to_its_share_and_says_so_once(broker: str) -> None:
    budget = budget_of(broker, rate=40, processes=2)

    with capture_logs() as logs:
        take(budget, "details")
        count = taken_within(budget, 1.0)

    assert 4 <= count <= 40 / ASSUMED_HOSTS / 2 + 1
    assert [entry["event"] for entry in logs] == ["budget.unshared"]


def test_alone_a_429_is_honoured_too() -> None:
    budget = budget_of(NOWHERE, rate=40, processes=1)
    take(budget, "details")

    budget.pause(30.0)

    with pytest.raises(BudgetError) as raised:
        take(budget, "details")
    assert (raised.value.retry_after or 0) > 20


def test_a_redis_that_is_back_is_used_and_logged(valkey: Valkey) -> None:
    budget = budget_of(valkey.url, processes=1)
    take(budget, "details")
    valkey.stop()

    with capture_logs() as logs:
        taken_within(budget, 1.2)
        valkey.start()
        taken_within(budget, 1.0)

    assert [entry["event"] for entry in logs] == ["budget.unshared", "budget.shared"]


def test_a_child_of_a_worker_has_the_number_that_celery_gave_it() -> None:
    assert multiprocessing.current_process().name == "MainProcess"
    assert Fleet(NOWHERE, processes=4).index == 0
    assert Fleet(NOWHERE, processes=4, index=6).index == 2


def test_keys_hold_no_more_than_the_tenant(flushed: str) -> None:
    take(budget_of(flushed), "details")

    with redis.Redis.from_url(flushed) as client:
        kept = sorted(client.keys("jumio:budget:acme:*"))
    assert kept == [b"jumio:budget:acme:kyx", b"jumio:budget:acme:kyx:flights"]
