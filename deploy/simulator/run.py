"""The simulator as a whole, in this process: for tests, demo and `up`; program.py is the one of its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import structlog

from deploy.simulator.dice import identifier
from deploy.simulator.dns import DnsServer
from deploy.simulator.family import Transaction
from deploy.simulator.faults import Faults, parse_faults
from deploy.simulator.legacy import LegacyTransaction
from deploy.simulator.loop import LoopThread
from deploy.simulator.mix import Family, Mix
from deploy.simulator.report import Report
from deploy.simulator.scenarios import Execution
from deploy.simulator.server import can_bind
from deploy.simulator.show import Show
from deploy.simulator.stats import Stats
from deploy.simulator.status_page import Health, StatusPage
from deploy.simulator.tenant import Manners, Tenant
from deploy.simulator.tokens import TOKEN_SECONDS
from deploy.simulator.world import World
from deploy.simulator.zone import CALLBACK_ZONE, OUTSIDER

log = structlog.get_logger()
# How long ago the first journey began: each begins seven seconds after the one before, which may be faster than they
# are played, and none ends in time to come.
SINCE = timedelta(hours=6)


class Simulator:
    """A Jumio on loopback, with one customer called default, and more if asked for.

    With the same seed (and `opened_at`) it invents the same workflows. What it says without naming a customer is of
    the first one; all of them are in `tenants`.
    """

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
        legacy_rate_limit: int | None = None,
        token_seconds: float = TOKEN_SECONDS,
        latency_seconds: float = 0.0,
    ) -> None:
        """Beyond `rate_limit` KYX retrieval calls a second (Jumio's is 15) it answers 429.

        `legacy_rate_limit`: the same of the older generations, in five seconds (Jumio's is 75). Every answer takes
        `latency_seconds`.
        """
        self.dns = DnsServer(zone if can_bind(OUTSIDER) else dict.fromkeys(zone, ("127.0.0.1",)), port=dns_port)
        self._manners = Manners(rate_limit, legacy_rate_limit, token_seconds, latency_seconds)
        self._seed, self._opened_at = seed, opened_at or datetime.now(UTC) - SINCE
        self._loop = LoopThread("simulator")
        self._stack: ExitStack | None = None
        self._pages: defaultdict[str, StatusPage] = defaultdict(StatusPage)
        self.tenants: dict[str, Tenant] = {}
        self._default = self._tenant("default", region, seed=seed, faults=faults or Faults(seed), http_port=http_port)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.dns.start()
            stack.callback(self.dns.stop)
            self._loop.start()
            stack.callback(self._loop.stop)
            for tenant in self.tenants.values():
                self._serve(tenant, stack)
            self._stack = stack.pop_all()
        log.info("simulator.started", dns=self.dns_address, base_url=self.base_url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stack:
            self._stack.close()
        requests = sum(sum(tenant.stats.counts.values()) for tenant in self.tenants.values())
        log.info("simulator.stopped", requests=requests)

    def add_tenant(
        self,
        name: str,
        region: str = "amer-1",
        *,
        seed: int | str | None = None,
        faults: Faults | None = None,
        manners: Manners | None = None,
    ) -> Tenant:
        """One more customer, before or while it runs: its credentials and its own base URL are on it.

        `seed`: another's gives it workflows of the same ids. Raises ValueError for a name that is taken.
        """
        if name in self.tenants:
            raise ValueError(f"there is a tenant called {name} already")
        seed = f"{self._seed}/{name}" if seed is None else seed
        secret = identifier(seed, name, "callback")
        tenant = self._tenant(name, region, seed=seed, faults=faults or Faults(seed), secret=secret, manners=manners)
        if self._stack:
            self._serve(tenant, self._stack)
        return tenant

    @property
    def dns_address(self) -> str:
        return self.dns.address

    @property
    def client_id(self) -> str:
        return self._default.client_id

    @property
    def client_secret(self) -> str:
        return self._default.client_secret

    @property
    def base_url(self) -> str:
        return self._default.base_url

    @property
    def faults(self) -> Faults:
        return self._default.faults

    @property
    def world(self) -> World:
        return self._default.world

    @property
    def stats(self) -> Stats:
        return self._default.stats

    def say_status(
        self, status: Health, details: Mapping[str, Health] | None = None, *, region: str | None = None
    ) -> None:
        """What the status page of a region says from now on; while its retrieval is DOWN, reads answer 503."""
        self._pages[region or self._default.region].say(status, details)

    def environment(self) -> dict[str, str]:
        """The settings with which the product talks to this Jumio, as its first customer."""
        return {
            "DNS_SERVERS": self.dns_address,
            "SOURCE_ALLOW_PRIVATE": "true",
            **self._default.environment(),
        }

    def tenants_toml(self) -> str:
        """A JUMIO_TENANTS_FILE with all customers: a table each, its names those of the environment in lower case."""
        return "\n".join(tenant.toml() for tenant in self.tenants.values())

    def create(self, count: int = 1, *, outcomes: Sequence[str] = ()) -> list[Execution]:
        """New KYX workflows of the first customer; see Tenant."""
        return self._default.create(count, outcomes=outcomes)

    def create_legacy(self, family: Family, count: int = 1, *, outcomes: Sequence[str] = ()) -> list[LegacyTransaction]:
        """New transactions of an older family, of the first customer; see Tenant."""
        return self._default.create_legacy(family, count, outcomes=outcomes)

    def create_mix(self, count: int, *, families: Mix, outcomes: Sequence[str] = ()) -> list[Transaction]:
        """New transactions of several families of the first customer; see Tenant."""
        return self._default.create_mix(count, families=families, outcomes=outcomes)

    def play(
        self,
        callback_url: str,
        workflows: int | Sequence[Transaction] = 10,
        *,
        rate: float | None = 5.0,
        faults: Iterable[str] | Mapping[str, float] = (),
        families: Mix = ("kyx",),
        outcomes: Sequence[str] = (),
        tenant: str = "default",
        intermediate: bool = False,
        correct_within: float = 60.0,
    ) -> Report:
        """Post the callbacks of that many new transactions (or of these), `rate` of them a second; None: all at once.

        Faults are names, `name=rate`, or a mapping; families are names, `name=share`, or a mapping. `intermediate`: the
        statuses on the way are sent too. A corrected result waits up to `correct_within` seconds for the first one to
        be read; unread, it stays as it was.
        """
        words = [f"{name}={share}" for name, share in faults.items()] if isinstance(faults, Mapping) else faults
        rates = parse_faults(words)
        of = self.tenants[tenant]
        transactions: Sequence[Transaction] = (
            of.create_mix(workflows, families=families, outcomes=outcomes) if isinstance(workflows, int) else workflows
        )
        of.faults.deal(transactions, rates)
        sources = self.dns.addresses()
        show = Show(of.world, callback_url, sources=sources, intermediate=intermediate, correct_within=correct_within)
        report = self._loop.run(show.run(transactions, rate), None)
        log.info("simulator.played", workflows=len(transactions), sent=len(report.sent), not_kept=len(report.not_kept))
        return report

    def _tenant(
        self,
        name: str,
        region: str,
        *,
        seed: int | str,
        faults: Faults,
        secret: str = "",
        manners: Manners | None = None,
        http_port: int = 0,
    ) -> Tenant:
        self.tenants[name] = Tenant(
            name,
            seed=seed,
            region=region,
            opened_at=self._opened_at,
            faults=faults,
            page=self._pages[region],
            manners=manners or self._manners,
            callback_secret=secret,
            http_port=http_port,
        )
        return self.tenants[name]

    def _serve(self, tenant: Tenant, stack: ExitStack) -> None:
        self._loop.run(tenant.http.start())
        stack.callback(lambda: self._loop.run(tenant.http.stop()))
