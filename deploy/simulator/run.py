"""The simulator as a whole: in this process for tests and demo, or as a program of its own."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import structlog

from deploy.simulator.api import build_api
from deploy.simulator.callbacks import final_post, plan
from deploy.simulator.caller import Caller
from deploy.simulator.dice import identifier
from deploy.simulator.dns import DnsServer
from deploy.simulator.family import Transaction
from deploy.simulator.faults import Faults, parse_faults
from deploy.simulator.loop import LoopThread
from deploy.simulator.report import Played, Report
from deploy.simulator.scenarios import Execution, invent_executions
from deploy.simulator.server import HttpServer
from deploy.simulator.stats import Stats
from deploy.simulator.tokens import TOKEN_SECONDS, Tokens
from deploy.simulator.world import World
from deploy.simulator.zone import CALLBACK_ZONE, OUTSIDER

log = structlog.get_logger()

USER_AGENT = "Example Onboarding/1.0"
# After the first read the rest of that read (steps, images) should still see the first result.
CORRECTION_DELAY = 0.5
PORT_WAIT = 0.1


class Simulator:
    """A Jumio on loopback. With the same seed (and `opened_at`) it invents the same workflows."""

    def __init__(
        self,
        *,
        seed: int | str = 1,
        region: str = "amer-1",
        opened_at: datetime | None = None,
        faults: Faults | None = None,
        zone: Mapping[str, Sequence[str]] = CALLBACK_ZONE,
        dns_port: int = 0,
        http_port: int = 0,
        rate_limit: int | None = None,
        token_seconds: float = TOKEN_SECONDS,
    ) -> None:
        """`rate_limit`: retrieval calls a second beyond which it answers 429; Jumio's is 15."""
        self.client_id, self.client_secret = identifier(seed, "client"), identifier(seed, "secret")
        self.faults = faults or Faults(seed)
        self.dns = DnsServer(zone if _can_bind(OUTSIDER) else dict.fromkeys(zone, ("127.0.0.1",)), port=dns_port)
        tokens = Tokens(self.client_id, self.client_secret, seconds=token_seconds)
        self.world = World(tokens=tokens, faults=self.faults, rate_limit=rate_limit)
        self._seed, self._region = seed, region
        self._opened_at = opened_at or datetime.now(UTC)
        self._invented = 0
        self._http = HttpServer(build_api(self.world), port=http_port)
        self._loop = LoopThread("simulator")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.dns.start()
            stack.callback(self.dns.stop)
            self._loop.start()
            stack.callback(self._loop.stop)
            self._loop.run(self._http.start())
            stack.callback(lambda: self._loop.run(self._http.stop()))
            self._stack = stack.pop_all()
        log.info("simulator.started", dns=self.dns_address, base_url=self.base_url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        log.info("simulator.stopped", requests=sum(self.stats.counts.values()))

    @property
    def dns_address(self) -> str:
        return self.dns.address

    @property
    def base_url(self) -> str:
        return self._http.base_url

    @property
    def stats(self) -> Stats:
        return self.world.stats

    def environment(self) -> dict[str, str]:
        """The settings with which the product talks to this Jumio."""
        hosts = ("AUTH", "ACCOUNT", "API", "RETRIEVAL", "STATUS")
        return {
            "DNS_SERVERS": self.dns_address,
            "SOURCE_ALLOW_PRIVATE": "true",
            "JUMIO_REGION": self._region,
            "JUMIO_CLIENT_ID": self.client_id,
            "JUMIO_CLIENT_SECRET": self.client_secret,
            "JUMIO_USER_AGENT": USER_AGENT,
            **{f"JUMIO_{host}_URL": self.base_url for host in hosts},
        }

    def create(self, count: int = 1, *, outcomes: Sequence[str] = ()) -> list[Execution]:
        """New workflows, readable at once; outcomes (names of outcomes.CATALOGUE) are dealt in turn."""
        made = invent_executions(
            self._seed,
            count,
            outcomes=outcomes,
            first=self._invented,
            opened_at=self._opened_at,
            region=self._region,
        )
        self._invented += count
        self.world.add(made)
        return made

    def play(
        self,
        callback_url: str,
        workflows: int | Sequence[Transaction] = 10,
        *,
        rate: float | None = 5.0,
        faults: Iterable[str] | Mapping[str, float] = (),
        outcomes: Sequence[str] = (),
        intermediate: bool = False,
        correct_within: float = 60.0,
    ) -> Report:
        """Post the callbacks of that many new workflows (or of these), `rate` workflows a second; None: all at once.

        Faults are names, `name=rate`, or a mapping. `intermediate`: the statuses on the way are sent too. A corrected
        result waits up to `correct_within` seconds for the first one to be read; unread, it stays as it was.
        """
        words = [f"{name}={share}" for name, share in faults.items()] if isinstance(faults, Mapping) else faults
        rates = parse_faults(words)
        transactions = self.create(workflows, outcomes=outcomes) if isinstance(workflows, int) else workflows
        self.faults.deal(transactions, rates)
        show = Show(self, callback_url, intermediate=intermediate, correct_within=correct_within)
        report = self._loop.run(show.run(transactions, rate), None)
        log.info("simulator.played", workflows=len(transactions), sent=len(report.sent), not_kept=len(report.not_kept))
        return report


class Show:
    """One play, in the simulator's loop."""

    def __init__(self, simulator: Simulator, callback_url: str, *, intermediate: bool, correct_within: float) -> None:
        self._simulator = simulator
        self._caller = Caller(callback_url)
        self._intermediate, self._correct_within = intermediate, correct_within
        self._sources = simulator.dns.addresses()

    async def run(self, transactions: Sequence[Transaction], rate: float | None) -> Report:
        started = time.monotonic()
        async with self._caller, asyncio.TaskGroup() as group:
            tasks = []
            for place, each in enumerate(transactions):
                if rate:
                    await asyncio.sleep(max(0.0, started + place / rate - time.monotonic()))
                tasks.append(group.create_task(self._tell(each)))
        played = tuple(task.result() for task in tasks)
        return Report(tuple(self._caller.sent), played, time.monotonic() - started)

    async def _tell(self, transaction: Transaction) -> Played:
        faults = self._simulator.faults.of(transaction.key)
        late = self._simulator.faults.late_seconds
        before = transaction.expectation
        for post in plan(transaction, faults, self._sources, late_seconds=late, intermediate=self._intermediate):
            await asyncio.sleep(post.after)
            await self._caller.post(post)
        corrected = "corrected" in faults and await self._correct(transaction)
        return Played(
            family=transaction.family,
            key=transaction.key,
            account_id=transaction.account_id,
            user_reference=transaction.user_reference,
            customer_reference=transaction.customer_reference,
            expectation=transaction.expectation,
            faults=tuple(sorted(faults)),
            revised_from=before if corrected else None,
        )

    async def _correct(self, transaction: Transaction) -> bool:
        try:
            async with asyncio.timeout(self._correct_within):
                await self._simulator.world.read(transaction.key)
        except TimeoutError:
            log.warning("simulator.result.unread", key=transaction.key)
            return False
        await asyncio.sleep(CORRECTION_DELAY)
        transaction.correct()
        log.info("simulator.result.corrected", key=transaction.key)
        await self._caller.post(final_post(transaction, self._sources))
        return True


def simulate(
    *,
    callback_url: str | None,
    workflows: int = 10,
    rate: float | None = 5.0,
    faults: Iterable[str] = (),
    seed: int | str = 1,
    serve: bool = False,
    region: str = "amer-1",
    dns_port: int = 0,
    http_port: int = 0,
    patience: float = 60.0,
    announce: Callable[[Mapping[str, str]], None] = lambda _environment: None,
) -> Report | None:
    """Start a Jumio, say where it is, play, and with `serve` stay until SIGTERM or SIGINT.

    `announce` gets the product's settings as soon as they are true. Nothing is posted before the callback URL takes
    connections, for at most `patience` seconds; without a URL nothing is posted at all. Only from the main thread.
    Raises ValueError for an unknown fault before anything is started.
    """
    rates = parse_faults(faults)
    report = None
    # Both signals interrupt whatever runs, and then everything stops in order.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Simulator(seed=seed, region=region, dns_port=dns_port, http_port=http_port) as simulator:
            announce(simulator.environment())
            if callback_url:
                _wait_for(callback_url, patience)
                report = simulator.play(callback_url, workflows, rate=rate, faults=rates)
            if serve:
                threading.Event().wait()
    except KeyboardInterrupt:
        log.info("simulator.interrupted")
    finally:
        signal.signal(signal.SIGTERM, before)
    return report


def _wait_for(url: str, seconds: float) -> None:
    """A callback that is posted before the receiver listens would be lost for good."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=1.0).close()
        except OSError:
            time.sleep(PORT_WAIT)
        else:
            return


def _can_bind(address: str) -> bool:
    """Linux has all of 127/8; elsewhere only 127.0.0.1 may exist, and then everything comes from there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
