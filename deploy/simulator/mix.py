"""Which families are played, in which proportion, and the transactions that come of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

from deploy.simulator.authentication import Authentication
from deploy.simulator.dice import dice
from deploy.simulator.document import Document
from deploy.simulator.family import Transaction
from deploy.simulator.legacy import LegacyTransaction
from deploy.simulator.legacy_outcomes import LEGACY, LEGACY_BY_NAME
from deploy.simulator.scans import Scan

Family = Literal["kyx", "netverify", "authentication", "document"]
FAMILIES: tuple[Family, ...] = get_args(Family)
# By name, or by name with its share of the whole.
Mix = Mapping[str, float] | Iterable[str]

_KINDS: Mapping[str, type[LegacyTransaction]] = {kind.family: kind for kind in (Scan, Authentication, Document)}


def parse_families(mix: Mix) -> dict[Family, float]:
    """`kyx=60`, or only the name for a share of one. Raises ValueError for an unknown name, and for no share at all."""
    words = [f"{name}={share}" for name, share in mix.items()] if isinstance(mix, Mapping) else mix
    shares: dict[Family, float] = {}
    for word in words:
        name, _, share = word.strip().partition("=")
        family = next((each for each in FAMILIES if each == name), None)
        if family is None:
            raise ValueError(f"{name} is not a family; there are: {', '.join(FAMILIES)}")
        shares[family] = float(share) if share else 1.0
    if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise ValueError("there has to be a share of at least one family, and none below zero")
    return shares


def divide(count: int, shares: Mapping[Family, float]) -> dict[Family, int]:
    """Whole numbers in that proportion; what is left over goes to the largest rests."""
    exact = {family: count * share / sum(shares.values()) for family, share in shares.items()}
    whole = {family: int(number) for family, number in exact.items()}
    rests = sorted(exact, key=lambda family: whole[family] - exact[family])
    for family in rests[: count - sum(whole.values())]:
        whole[family] += 1
    return whole


def shuffled(seed: int | str, transactions: Iterable[Transaction]) -> list[Transaction]:
    """The families among each other, the same way for the same seed."""
    found = list(transactions)
    dice(seed, "mix", len(found)).shuffle(found)
    return found


def outcomes_of(family: str, outcomes: Sequence[str]) -> list[str]:
    """Those of this family: the older ones' begin with its name."""
    prefixes = {each for each in FAMILIES if each != "kyx"}
    of_kyx = [name for name in outcomes if name.partition(".")[0] not in prefixes]
    return of_kyx if family == "kyx" else [name for name in outcomes if name.partition(".")[0] == family]


def invent_legacy(
    family: Family,
    seed: int | str,
    count: int,
    *,
    outcomes: Sequence[str],
    first: int,
    opened_at: datetime,
    region: str,
) -> list[LegacyTransaction]:
    """The outcomes are dealt in turn, all of the family's where none is named. Raises KeyError for an unknown one."""
    kind = _KINDS[family]
    dealt = [LEGACY_BY_NAME[name] for name in outcomes] or list(LEGACY[kind.family])
    start = first if outcomes == () else 0
    return [kind(seed, first + place, dealt[(start + place) % len(dealt)], opened_at, region) for place in range(count)]
