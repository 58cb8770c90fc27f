"""One customer of this Jumio: credentials, transactions, faults, statistics and a listener of its own."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from deploy.simulator.api import build_api
from deploy.simulator.dice import identifier
from deploy.simulator.family import Transaction
from deploy.simulator.faults import Faults
from deploy.simulator.legacy import LegacyTransaction
from deploy.simulator.mix import Family, Mix, divide, invent_legacy, outcomes_of, parse_families, shuffled
from deploy.simulator.scenarios import Execution, invent_executions
from deploy.simulator.server import Distant, HttpServer
from deploy.simulator.stats import Stats
from deploy.simulator.status_page import StatusPage
from deploy.simulator.tokens import TOKEN_SECONDS, Basic, Tokens
from deploy.simulator.world import World

# What Jumio allows a customer (docs.jumio.com).
RETRIEVAL_RATE = "15/s"
USER_AGENT = "Example Onboarding/1.0"
HOSTS = ("auth", "account", "api", "retrieval", "status", "legacy", "legacy_documents")


@dataclass(frozen=True)
class Manners:
    """What this Jumio asks of a customer: calls a second and per five seconds of v2, token life, latency."""

    rate_limit: int | None = None
    legacy_rate_limit: int | None = None
    token_seconds: float = TOKEN_SECONDS
    latency_seconds: float = 0.0


class Tenant:
    """Customers of equal seeds have workflows of equal ids, apart in all else."""

    def __init__(
        self,
        name: str,
        *,
        seed: int | str,
        region: str,
        opened_at: datetime,
        faults: Faults,
        page: StatusPage,
        manners: Manners,
        callback_secret: str = "",
        http_port: int = 0,
    ) -> None:
        # The one without a name of its own has the credentials that it had when it was alone.
        whose = (seed,) if name == "default" else (seed, name)
        self.name, self.region, self.callback_secret = name, region, callback_secret
        self.client_id, self.client_secret = identifier(*whose, "client"), identifier(*whose, "secret")
        self.legacy_token, self.legacy_secret = identifier(*whose, "token"), identifier(*whose, "legacy secret")
        self.faults = faults
        self.world = World(
            tokens=Tokens(self.client_id, self.client_secret, seconds=manners.token_seconds),
            legacy=Basic(self.legacy_token, self.legacy_secret),
            faults=faults,
            page=page,
            region=region,
            rate_limit=manners.rate_limit,
            legacy_rate_limit=manners.legacy_rate_limit,
        )
        self.http = HttpServer(Distant(build_api(self.world), manners.latency_seconds), port=http_port)
        self._seed, self._opened_at = seed, opened_at
        self._invented: Counter[str] = Counter()

    @property
    def base_url(self) -> str:
        return self.http.base_url

    @property
    def stats(self) -> Stats:
        return self.world.stats

    @property
    def callback_path(self) -> str:
        """Where the product takes its callbacks."""
        return f"/callbacks/{self.name}" + (f"/{self.callback_secret}" if self.callback_secret else "")

    def environment(self) -> dict[str, str]:
        """The settings with which the product reads as this customer."""
        return {
            "JUMIO_REGION": self.region,
            "JUMIO_CLIENT_ID": self.client_id,
            "JUMIO_CLIENT_SECRET": self.client_secret,
            "JUMIO_USER_AGENT": USER_AGENT,
            "JUMIO_LEGACY_TOKEN": self.legacy_token,
            "JUMIO_LEGACY_SECRET": self.legacy_secret,
            **{f"JUMIO_{host.upper()}_URL": self.base_url for host in HOSTS},
        }

    def toml(self) -> str:
        """Its table of a JUMIO_TENANTS_FILE; JSON's strings are TOML's too."""
        settings = {name.lower(): value for name, value in self.environment().items()}
        settings["jumio_retrieval_rate"] = RETRIEVAL_RATE
        if self.callback_secret:
            settings["callback_secrets"] = self.callback_secret
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        return "\n".join((f"[{json.dumps(self.name)}]", *lines, ""))

    def create(self, count: int = 1, *, outcomes: Sequence[str] = ()) -> list[Execution]:
        """New KYX workflows, readable at once; outcomes (names of outcomes.CATALOGUE and RARE) are dealt in turn."""
        made = invent_executions(
            self._seed,
            count,
            outcomes=outcomes,
            first=self._invented["kyx"],
            opened_at=self._opened_at,
            region=self.region,
        )
        self._invented["kyx"] += count
        self.world.add(made)
        return made

    def create_legacy(self, family: Family, count: int = 1, *, outcomes: Sequence[str] = ()) -> list[LegacyTransaction]:
        """New transactions of an older family; outcomes (names of legacy_outcomes) are dealt in turn, else all."""
        made = invent_legacy(
            family,
            self._seed,
            count,
            outcomes=outcomes,
            first=self._invented[family],
            opened_at=self._opened_at,
            region=self.region,
        )
        self._invented[family] += count
        self.world.add(made)
        return made

    def create_mix(self, count: int, *, families: Mix, outcomes: Sequence[str] = ()) -> list[Transaction]:
        """New transactions of several families among each other. Raises ValueError for an unknown family."""
        made: list[Transaction] = []
        shares = divide(count, parse_families(families))
        for family, share in shares.items():
            named = outcomes_of(family, outcomes)
            made += (
                self.create(share, outcomes=named)
                if family == "kyx"
                else self.create_legacy(family, share, outcomes=named)
            )
        return shuffled(self._seed, made) if len(shares) > 1 else made
