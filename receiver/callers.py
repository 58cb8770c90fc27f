"""Peer and forwarding header -> who calls and whether it may; remembered for a second, as few addresses call often."""

import json
import time
from dataclasses import dataclass

from starlette.types import Scope

from receiver.addresses import AddressBook, Judgement
from receiver.allowlist import Allowlist
from receiver.source import peer_address, trace
from schemas.settings import Settings

# Judgements rest on the time, too: addresses age. What they say of an age is in whole seconds.
REMEMBER_SECONDS = 1.0
# Behind a proxy the header is a caller's own text: a flood of them must not grow.
MOST_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Addresses in one spelling, what they were judged to be, and the evidence for it as JSON."""

    peer: str | None
    address: str | None
    judgement: Judgement
    evidence: str

    @property
    def rule(self) -> str:
        """What decided."""
        return str(self.judgement.evidence["rule"])


class Callers:
    """Traces and judges; only who was admitted is remembered, and only while the address book is the same."""

    def __init__(self, settings: Settings, allowlist: Allowlist) -> None:
        self._trusted = settings.trusted_proxies
        self._header = settings.client_address_header
        self._header_name = settings.client_address_header.encode()
        self._allowlist = allowlist
        self._admitted: dict[tuple[bytes | str | None, ...], Caller] = {}
        self._book: AddressBook | None = None
        self._until = 0.0

    async def identify(self, scope: Scope) -> Caller:
        """Who sent the request; a stranger waits for a look-up that began after it came."""
        client = scope.get("client")
        peer: str | None = client[0] if client else None
        name = self._header_name
        lines = [value for header, value in scope["headers"] if header == name]
        key = (peer, *lines)
        self._forget()
        return self._admitted.get(key) or await self._judge(key, peer, lines)

    def _forget(self) -> None:
        now = time.monotonic()
        if self._allowlist.book is not self._book or now >= self._until or len(self._admitted) >= MOST_REMEMBERED:
            self._admitted = {}
            self._book, self._until = self._allowlist.book, now + REMEMBER_SECONDS

    async def _judge(self, key: tuple[bytes | str | None, ...], peer: str | None, lines: list[bytes]) -> Caller:
        book = self._allowlist.book
        traced = trace(peer, [line.decode("latin-1") for line in lines], trusted=self._trusted, header=self._header)
        judgement = await self._allowlist.judge(traced.address)
        address = peer_address(peer) if peer else None
        caller = Caller(
            peer=str(address) if address else None,
            address=str(traced.address) if traced.address else None,
            judgement=judgement,
            evidence=json.dumps({**judgement.evidence, "hops": traced.hops}),
        )
        if judgement.verdict == "admitted" and self._book is book is self._allowlist.book:
            self._admitted[key] = caller
        return caller
