"""peer and forwarding header -> the address that calls, or none: right to left over trusted hops; pure."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

from schemas.settings import Network

Address = IPv4Address | IPv6Address
ForwardingHeader = Literal["x-forwarded-for", "forwarded"]

MOST_HOPS = 32  # far more proxies than anyone runs: a longer walk is somebody's trick

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[^\]]*)?)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")
# RFC 7239, with the bare colon and brackets that proxies write without quotes. Strict, over all lines at once: what an
# attacker leaves open on the left makes the whole header unreadable, never another address readable.
_PAIR = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\",;\\ \t]*))[ \t]*([;,]|\Z)", re.DOTALL
)


class Trace(NamedTuple):
    """Who calls, and how many entries of the forwarding header were walked to know it."""

    address: Address | None
    hops: int


def caller(
    peer: str | None, header_lines: Sequence[str], *, trusted: Sequence[Network], header: ForwardingHeader
) -> Address | None:
    """The right-most hop that is not a trusted proxy; None where that cannot be read."""
    return trace(peer, header_lines, trusted=trusted, header=header).address


def trace(
    peer: str | None, header_lines: Sequence[str], *, trusted: Sequence[Network], header: ForwardingHeader
) -> Trace:
    """As caller, with the number of hops."""
    address = peer_address(peer) if peer else None
    if address is None or not is_in(address, trusted):
        return Trace(address, 0)
    for hops, entry in enumerate(_right_to_left(header_lines, header), start=1):
        address = parse_address(entry)
        if address is None or hops > MOST_HOPS:
            return Trace(None, hops)
        if not is_in(address, trusted):
            return Trace(address, hops)
    return Trace(None, 0)


def parse_address(text: str) -> Address | None:
    """One address as sockets and proxies write it: with port, brackets or zone; IPv4 in IPv6 is unwrapped."""
    found = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found.group(1) if found else text).partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=1024)
def peer_address(text: str) -> Address | None:
    """As parse_address, for the peer of a socket: a few short texts that come over and over."""
    return parse_address(text)


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    """Whether one of the networks holds the address; families do not mix."""
    return any(address in network for network in networks)


def _right_to_left(lines: Sequence[str], header: ForwardingHeader) -> Iterator[str]:
    if not lines:
        return iter(())
    joined = ",".join(lines)
    if header == "forwarded":
        return reversed(_forwarded_for(joined))
    return (entry.strip(" \t") for entry in reversed(joined.split(",")))


def _forwarded_for(joined: str) -> list[str]:
    """The `for` of every element; an empty one, which no address is, where there is none, two, or no grammar."""
    elements: list[list[str]] = [[]]
    position = 0
    while found := _PAIR.match(joined, position):
        name, quoted, bare, separator = found.groups()
        if name.lower() == "for":
            elements[-1].append(bare if quoted is None else quoted)
        position = found.end()
        if not separator:
            return [values[0] if len(values) == 1 else "" for values in elements]
        if separator == ",":
            elements.append([])
    return [""]
