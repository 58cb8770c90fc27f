"""Jumio's host names -> who is admitted, kept fresh from DNS; the last good answer stands, nothing empties it."""

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime

import structlog

from receiver.addresses import AddressBook, Judgement, Sighting, host_names, is_public, judge, observed, relevant
from receiver.flights import Flights
from receiver.lookup import Lookup, Outcome, RecordType
from receiver.shared import AWAY, exchange, load
from receiver.source import Address
from schemas.settings import Settings

# Below a host's worth of records; 5,000 of them are an accident or an attack.
MOST_ADDRESSES = 64
SHORTEST_REFRESH, FAILURE_RECHECK = 30.0, 30.0
# Within the hour after which the allow-list counts as stale, with the jitter and a second try.
LONGEST_REFRESH = 3000.0
STALE_SECONDS = 3600.0
# What one replica learned is soon known to all, at one small exchange each.
EXCHANGE_SECONDS = 30.0
# A start must not wait on a Postgres that is frozen.
LOAD_SECONDS = 4.0

log = structlog.get_logger()


class Allowlist:
    """Judges addresses by the book it holds; the book is one reference, swapped whole."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = host_names(settings)
        self._lookup = Lookup(settings.dns_servers)
        self._flights = Flights(self._fly, after=self.refresh_in)
        self._outcomes: dict[tuple[str, RecordType], Outcome] = {}
        self._changed = asyncio.Event()
        self._opened_at = datetime.now(UTC)
        self._alarmed_at: dict[str, datetime] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.book = AddressBook()

    async def open(self) -> None:
        """Load what was known, then keep asking. Neither Postgres nor DNS need be there."""
        loading = asyncio.create_task(self._load())
        await asyncio.wait({loading}, timeout=LOAD_SECONDS)
        self._tasks = [
            loading,
            asyncio.create_task(self._flights.run()),
            asyncio.create_task(self._exchange_forever()),
        ]

    async def close(self) -> None:
        """Stop asking; a query on a frozen Postgres is left behind."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=1)

    async def judge(self, address: Address | None) -> Judgement:
        """Judge a caller; one that nobody knows waits for a look-up that began after it came."""
        judgement = self._judge(address)
        if address is not None and judgement.verdict != "admitted":
            await self._flights.board(address, until=lambda: self.knows(address))
            judgement = self._judge(address)
        return observed(judgement) if self._settings.source_check == "observe" else judgement

    def knows(self, address: Address) -> bool:
        """Whether DNS or SOURCE_EXTRA admits the address as of now."""
        return self._judge(address).verdict == "admitted"

    def admitted(self) -> int:
        """How many addresses DNS admits as of now."""
        return self.book.admitted(datetime.now(UTC))

    def silent_seconds(self) -> float | None:
        """How long DNS has given no address of any name; None where it never has."""
        answered_at = self.book.answered_at()
        return None if answered_at is None else (datetime.now(UTC) - answered_at).total_seconds()

    def _judge(self, address: Address | None) -> Judgement:
        return judge(address, self.book, extra=self._settings.source_extra, now=datetime.now(UTC))

    async def _fly(self) -> None:
        """Ask for every name and record type at once, and use each answer as it comes."""
        await asyncio.gather(*(self._ask(name, kind) for name in self._names for kind in _RECORD_TYPES))
        self._changed.set()
        self._alarm_if_stale()

    async def _ask(self, name: str, record_type: RecordType) -> None:
        outcome = self._checked(await self._lookup.ask(name, record_type))
        self._outcomes[name, record_type] = outcome
        if outcome.addresses:
            version = 4 if record_type == "A" else 6
            self._note_big_change(outcome, version=version)
            self.book = self.book.answered(name, version=version, addresses=outcome.addresses, at=outcome.at)
            self._flights.tell()

    def _checked(self, outcome: Outcome) -> Outcome:
        """The outcome without what cannot be a sender; too many addresses are none, and the last good ones stand."""
        addresses = outcome.addresses
        if not self._settings.source_allow_private:
            addresses = tuple(address for address in addresses if is_public(address))
        if len(addresses) < len(outcome.addresses):
            log.error("allowlist.private_answered", name=outcome.name, dropped=len(outcome.addresses) - len(addresses))
        if len(addresses) > MOST_ADDRESSES:
            log.error("allowlist.overfull", name=outcome.name, addresses=len(addresses))
            return Outcome(outcome.name, outcome.record_type, outcome.at, failure="too many addresses")
        failure = outcome.failure or ("no public address" if outcome.addresses and not addresses else None)
        return Outcome(outcome.name, outcome.record_type, outcome.at, addresses, outcome.ttl, failure)

    def _note_big_change(self, outcome: Outcome, *, version: int) -> None:
        before = self.book.current(outcome.name, version=version)
        left = before.difference(outcome.addresses)
        if len(left) * 2 > len(before):
            log.error("allowlist.changed", name=outcome.name, left=len(left), of=len(before))

    def refresh_in(self) -> float:
        """Seconds to the next look-up: the shortest TTL within bounds, sooner after a name failed altogether."""
        answered = {outcome.name for outcome in self._outcomes.values() if outcome.addresses}
        seconds = FAILURE_RECHECK
        if answered.issuperset(self._names):
            ttl = min(outcome.ttl for outcome in self._outcomes.values() if outcome.addresses)
            seconds = min(max(ttl, SHORTEST_REFRESH), LONGEST_REFRESH)
        return seconds * (0.9 + secrets.randbelow(201) / 1000)

    def _alarm_if_stale(self) -> None:
        """From the first hour without an answer, once an hour for each name."""
        now = datetime.now(UTC)
        for name in self._names:
            since = max(self.book.answered_at(name) or self._opened_at, self._alarmed_at.get(name, self._opened_at))
            if (now - since).total_seconds() >= STALE_SECONDS:
                self._alarmed_at[name] = now
                answered_at = self.book.answered_at(name)
                log.error("allowlist.aged", name=name, answered_at=answered_at and answered_at.isoformat())

    async def _load(self) -> None:
        try:
            self._join(await load(self._settings.database_url.get_secret_value()))
        except AWAY:
            log.warning("allowlist.unread", exc_info=True)

    async def _exchange_forever(self) -> None:
        """Write after each look-up and read now and then; Postgres being away stops nothing."""
        away = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXCHANGE_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            away = await self._exchange(was_away=away)
            await asyncio.sleep(1)

    async def _exchange(self, *, was_away: bool) -> bool:
        url = self._settings.database_url.get_secret_value()
        try:
            self._join(await exchange(url, self.book.sightings, list(self._outcomes.values())))
        except AWAY:
            if not was_away:
                log.warning("allowlist.unshared", exc_info=True)
            return True
        return False

    def _join(self, sightings: list[Sighting]) -> None:
        self.book = self.book.merged(relevant(sightings, self._settings))
        self._flights.tell()


_RECORD_TYPES: tuple[RecordType, ...] = ("A", "AAAA")
