"""A host name -> its addresses by DNS: A and AAAA apart, for either may fail alone; never raises."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Literal

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from receiver.source import Address
from schemas.settings import SettingsError

RecordType = Literal["A", "AAAA"]

DNS_PORT = 53
LIFETIME_SECONDS = 5.0
# dnspython was measured to overshoot its lifetime by 0.4 s of back-off.
HARD_SECONDS = 6.0
# A resolver reads resolv.conf once: after this many failures in a row the network may be another one.
FAILURES_BEFORE_REBUILD = 24


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one question came to. Without a failure the answer may still be empty (NODATA)."""

    name: str
    record_type: RecordType
    at: datetime
    addresses: tuple[Address, ...] = ()
    ttl: float = 0.0
    failure: str | None = None


class Lookup:
    """One resolver for the process: the system's, or DNS_SERVERS."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = [_nameserver(server) for server in servers]
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._failures = 0

    async def ask(self, name: str, record_type: RecordType) -> Outcome:
        """Ask once. A failure is an outcome: the last good answer stands."""
        try:
            async with asyncio.timeout(HARD_SECONDS):
                answer = await self._built().resolve(
                    f"{name}.", record_type, raise_on_no_answer=False, search=False, lifetime=LIFETIME_SECONDS
                )
        except (dns.exception.DNSException, OSError, EOFError) as error:  # TimeoutError is an OSError
            self._note_failure()
            return Outcome(name, record_type, datetime.now(UTC), failure=type(error).__name__)
        self._failures = 0
        addresses = tuple(dict.fromkeys(ip_address(record.address) for record in answer.rrset or ()))
        ttl = float(answer.chaining_result.minimum_ttl)
        return Outcome(name, record_type, datetime.now(UTC), addresses, ttl)

    def _built(self) -> dns.asyncresolver.Resolver:
        # Raises NoResolverConfiguration where there is no resolv.conf: a failure like others, tried again.
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                self._resolver.nameservers = self._servers
        return self._resolver

    def _note_failure(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_BEFORE_REBUILD:
            self._failures, self._resolver = 0, None


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    """Read `ip`, `ip:port`, `[ip6]` or `[ip6]:port`. Raises SettingsError."""
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return dns.nameserver.Do53Nameserver(str(ip_address(host)), int(port or DNS_PORT))
    except ValueError:
        raise SettingsError(f"DNS_SERVERS: {text!r} is not ip or ip:port") from None
