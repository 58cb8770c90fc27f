"""What the older generations have in common: forms as callbacks, one reference, no account (Jumio's guides)."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

from deploy.simulator.details import Json, stamp
from deploy.simulator.dice import dice, identifier
from deploy.simulator.family import Expectation
from deploy.simulator.legacy_outcomes import LEGACY_BY_NAME, FamilyName, LegacyOutcome
from deploy.simulator.people import Subject, invent

FORM = "application/x-www-form-urlencoded"
# retrieval guide: scans and authentications, documents.
HOSTS: Mapping[str, tuple[str, str]] = {
    "amer-1": ("https://netverify.com", "https://retrieval.netverify.com"),
    "emea-1": ("https://lon.netverify.com", "https://retrieval.lon.netverify.com"),
    "apac-1": ("https://core-sgp.jumio.com", "https://retrieval.core-sgp.jumio.com"),
}
# Begun so long before its callback that a correction comes a day after its date, as recorded.
AGE = timedelta(days=1, minutes=5)

_NEED_IMAGES = {"truncated_image", "not_an_image", "missing_image"}
# Of tokens, of statuses on the way, and of JSON callbacks the older generations know nothing.
_NEVER = {"token_expired_early", "out_of_order", "old_encoding", "findings_pending"}


@dataclass
class LegacyTransaction(ABC):
    """One transaction as Jumio holds it. `shown` is what the retrieval API says, which a contradiction makes differ."""

    seed: int | str
    index: int
    outcome: LegacyOutcome
    opened_at: datetime
    region: str = "amer-1"
    account_id: str = field(default="", init=False)
    media_type: str = field(default=FORM, init=False)
    stages: tuple[str, ...] = field(default=(), init=False)
    credentials: tuple[str, ...] = field(default=(), init=False)
    updated_at: datetime | None = field(default=None, init=False)

    family: ClassVar[FamilyName]
    correctable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.opened_at -= AGE
        self.shown = self.outcome
        self.subject: Subject = invent(self.rng("subject"))

    def rng(self, *about: object) -> Random:
        return dice(self.seed, self.family, self.index, *about)

    def variant(self, about: str, of: int) -> int:
        """Which of so many forms; by chance, because counting would give every outcome always the same one."""
        return self.rng(about).randrange(of)

    @property
    def key(self) -> str:
        return identifier(self.seed, self.family, self.index, "reference")

    @property
    def user_reference(self) -> str:
        return f"user-{self.seed}-{self.family[0]}{self.index:05d}"

    @property
    def customer_reference(self) -> str:
        return f"order-{self.seed}-{self.family[0]}{self.index:05d}"

    @property
    def status(self) -> str:
        return self.outcome.status

    @property
    @abstractmethod
    def images(self) -> Sequence[str]:
        """The path of every downloadable image, below the transaction's own."""

    @property
    def downloads(self) -> int:
        """How many there are to be had."""
        return len(self.images)

    @property
    def expectation(self) -> Expectation:
        """A contradiction is never silently decided for one side: both words are told, and somebody has to look."""
        if self.shown is not self.outcome:
            words = (
                ("callback", self.outcome.status),
                ("retrieval", self.shown.status),
                ("difference", "OUTCOME"),
                ("difference", "STATUS"),
            )
            return Expectation("warning", "CONTRADICTION", self.downloads, words)
        return Expectation(
            outcome=self.outcome.expected,
            label=self.outcome.status,
            images=self.downloads,
            failed_checks=self.outcome.failed_checks,
        )

    @abstractmethod
    def fields(self, sent_at: datetime) -> list[tuple[str, str]]:
        """The form that the callback is, name and value."""

    @abstractmethod
    def document(self, *, ready: bool = True) -> Json:
        """What the retrieval API says of it as a whole; not `ready`, while Jumio still works on it."""

    def callback(self, status: str, sent_at: datetime) -> bytes:
        rng = self.rng("form", status, sent_at.isoformat())
        return encode_form(self.fields(sent_at), rng)

    def suffers(self, fault: str) -> bool:
        if fault in _NEED_IMAGES:
            return bool(self.images)
        if fault == "corrected":
            return self.correctable and bool(self.outcome.opposite)
        if fault == "contradiction":
            return bool(self.outcome.opposite)
        return fault not in _NEVER

    def befall(self, faults: Collection[str]) -> Expectation | None:
        if "contradiction" in faults and self.shown is self.outcome:
            self.shown = LEGACY_BY_NAME[self.outcome.opposite]
        return None

    def correct(self) -> None:
        self.outcome = self.shown = LEGACY_BY_NAME[self.outcome.opposite]
        self.updated_at = datetime.now(UTC)

    def date(self, *, seconds: float = 0.0) -> str:
        """With none to three digits of a second."""
        return stamp(self.opened_at + timedelta(seconds=seconds), self.rng("digits", seconds).choice((0, 1, 2, 3)))


def encode_form(fields: Sequence[tuple[str, str]], rng: Random) -> bytes:
    """In any order, blanks as + and as %20, as both occur."""
    shuffled = list(fields)
    rng.shuffle(shuffled)
    return "&".join(f"{name}={rng.choice((quote_plus, quote))(value, safe='')}" for name, value in shuffled).encode()


def embedded(value: Any) -> str:  # noqa: ANN401 -- any JSON
    """JSON text in a field."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def stamped(reference: str) -> Json:
    """What stands beside every answer: the time of answering, and the reference."""
    return {"timestamp": stamp(datetime.now(UTC)), "scanReference": reference}
