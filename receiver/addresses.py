"""DNS answers -> who is admitted: the one rule that the receiver and `explain-source` share; pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_network
from typing import Literal, Self

from receiver.source import Address, is_in
from schemas.settings import Network, Settings

# An address that left DNS may still have callbacks under way, and resolvers rotate partial answers.
GRACE = timedelta(hours=24)
# Cloud addresses are handed to others: without a fresh answer nobody's stands longer.
LAST_GOOD = timedelta(days=7)

# `is_global` lets 13 of 33 dangerous addresses through (multicast, 6to4, NAT64, Azure's metadata address): own table.
_NOT_PUBLIC_4 = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3", "168.63.129.16/32",
    )
)  # fmt: skip
_PUBLIC_6 = ip_network("2000::/3")
_NOT_PUBLIC_6 = tuple(ip_network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def is_public(address: Address) -> bool:
    """Whether the address can be a sender's on the internet."""
    if isinstance(address, IPv4Address):
        return not is_in(address, _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not is_in(address, _NOT_PUBLIC_6)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One address of one name, as DNS has told it. The fields are the columns of source_addresses."""

    name: str
    address: Address
    first_seen_at: datetime
    last_seen_at: datetime
    left_at: datetime | None = None

    def admits(self, now: datetime) -> bool:
        """Whether it still counts: not gone for longer than the grace, not older than a last good answer may be."""
        fresh = now - self.last_seen_at <= LAST_GOOD
        return fresh and (self.left_at is None or now - self.left_at <= GRACE)

    def merged(self, other: Self) -> Self:
        """What two replicas know together: the later sight wins; at a tie, that it left."""
        newer, older = (self, other) if self.last_seen_at >= other.last_seen_at else (other, self)
        left_at = newer.left_at
        if newer.last_seen_at == older.last_seen_at:
            left_at = min(filter(None, (newer.left_at, older.left_at)), default=None)
        return replace(newer, first_seen_at=min(newer.first_seen_at, older.first_seen_at), left_at=left_at)


class AddressBook:
    """Every sighting, by address. Never changed: a change is a new book, swapped in one assignment."""

    def __init__(self, sightings: Iterable[Sighting] = ()) -> None:
        self._by_key: dict[tuple[str, Address], Sighting] = {}
        self._by_address: dict[Address, list[Sighting]] = {}
        for sighting in sightings:
            key = (sighting.name, sighting.address)
            known = self._by_key.get(key)
            self._by_key[key] = known.merged(sighting) if known else sighting
        for sighting in self._by_key.values():
            self._by_address.setdefault(sighting.address, []).append(sighting)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """All of them, those that no longer count too."""
        return tuple(self._by_key.values())

    def merged(self, others: Iterable[Sighting]) -> "AddressBook":
        """This book and what somebody else knows."""
        return AddressBook((*self.sightings, *others))

    def answered(self, name: str, *, version: int, addresses: Collection[Address], at: datetime) -> "AddressBook":
        """The book after an answer of one record type: what is in it was seen, what is not has left."""
        book = dict(self._by_key)
        for address in self.current(name, version=version):
            if address not in addresses:
                book[name, address] = replace(book[name, address], left_at=at)
        for address in addresses:
            known = book.get((name, address))
            book[name, address] = Sighting(name, address, known.first_seen_at if known else at, at)
        return AddressBook(book.values())

    def current(self, name: str, *, version: int) -> frozenset[Address]:
        """What the last answer for the name held."""
        return frozenset(
            address
            for (owner, address), sighting in self._by_key.items()
            if owner == name and address.version == version and sighting.left_at is None
        )

    def find(self, address: Address, now: datetime) -> Sighting | None:
        """The freshest sighting that admits the address."""
        admitting = (sighting for sighting in self._by_address.get(address, ()) if sighting.admits(now))
        return max(admitting, key=lambda sighting: sighting.last_seen_at, default=None)

    def admitted(self, now: datetime) -> int:
        """How many addresses are admitted."""
        return sum(self.find(address, now) is not None for address in self._by_address)

    def answered_at(self, name: str | None = None) -> datetime | None:
        """When DNS last gave an address, for one name or any."""
        seen = (sighting.last_seen_at for sighting in self.sightings if name in {None, sighting.name})
        return max(seen, default=None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a caller, and the evidence that is kept with what it sent."""

    verdict: Literal["admitted", "refused", "unverified"]
    evidence: Mapping[str, object]


def judge(address: Address | None, book: AddressBook, *, extra: Iterable[Network], now: datetime) -> Judgement:
    """Judge by what is known now. With no address ever known from DNS nobody is refused: they wait for an answer."""
    if address is None:
        return Judgement("refused", {"rule": "unreadable"})
    for network in extra:
        if address in network:
            return Judgement("admitted", {"rule": "extra", "network": str(network)})
    if sighting := book.find(address, now):
        age = round((now - sighting.last_seen_at).total_seconds())
        return Judgement("admitted", {"rule": "dns", "name": sighting.name, "age_seconds": age})
    if not book.sightings:
        return Judgement("unverified", {"rule": "unverified"})
    return Judgement("refused", {"rule": "refused"})


def observed(judgement: Judgement) -> Judgement:
    """The judgement under SOURCE_CHECK=observe: everyone is admitted, and it is kept what would have been."""
    if judgement.verdict == "admitted":
        return judgement
    return Judgement("admitted", {"rule": "observe", "would_be": judgement.evidence["rule"]})


def explain(address: Address | None, stored: Iterable[Sighting], settings: Settings, now: datetime) -> Judgement:
    """What a receiver with these settings and these rows of source_addresses would say, before any look-up."""
    book = AddressBook(relevant(stored, settings))
    judgement = judge(address, book, extra=settings.source_extra, now=now)
    return observed(judgement) if settings.source_check == "observe" else judgement


def relevant(stored: Iterable[Sighting], settings: Settings) -> list[Sighting]:
    """Rows that the settings of today stand by: names may be taken out, private addresses forbidden again."""
    names = set(host_names(settings))
    return [
        sighting
        for sighting in stored
        if sighting.name in names and (settings.source_allow_private or is_public(sighting.address))
    ]


def host_names(settings: Settings) -> tuple[str, ...]:
    """SOURCE_HOSTS in the spelling under which answers are kept."""
    return tuple(dict.fromkeys(host.rstrip(".").lower() for host in settings.source_hosts))
