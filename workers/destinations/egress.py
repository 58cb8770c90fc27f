"""The only way out to subscribers: which URLs and addresses events may be sent to, judged at every connection."""

import re
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Self

import httpcore2

from schemas.settings import Network
from workers.errors import SubscriberAddressError, SubscriberForbiddenError

Resolve = Callable[[str, int], Sequence[str]]

# Python calls these global, and so do other tables (svix's, for one): 6to4 relays, Azure's host agent, protocol
# assignments, AS112 and AMT, multicast; and in IPv6 what carries another address inside (Teredo, 6to4), is for
# documents, or is of the large blocks that nobody has been given. Smaller gaps are not listed: IANA gives one out now
# and then, and a subscriber there would be refused. Who squats in one, or has a NAT64 prefix of its own, must filter.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "224.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "2d00::/8",
        "2e00::/7",
        "3000::/4",
    )
)
# What IANA gives out of as global unicast: ::/96, NAT64, fec0::/10, 5f00::/16 and multicast are outside of it.
_UNICAST_V6 = ip_network("2000::/3")
# RFC 5214: what stands before an IPv4 address in an interface's identifier, of a private and of a public one.
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
# A name with a hundred addresses is not worth a hundred attempts within one deadline.
_MOST_ADDRESSES = 4
_CONNECT_SECONDS = 5.0

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][A-Za-z0-9/?:@!$&'()*+,;=._~%-]*)?"
)
_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# Resolvers read a last label like these as a number: 127.1, 0x7f.1 and 2130706433 are all 127.0.0.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_URL, _LONGEST_HOST, _LAST_PORT = 2048, 253, 65535
# Where no HTTP is spoken, and a body could be read as commands: the Fetch standard's bad ports (but 1, where nobody is
# any more); then stores, brokers, and what steers a host or a cluster, some by HTTP.
_OTHERS = """
    7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 137
    139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719
    1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080
    445 1433 1521 2375 2376 2379 2380 3306 5432 5672 6379 9042 9092 9200 9300 10250 11211 27017
"""
_BAD_PORTS = frozenset(map(int, _OTHERS.split()))
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """A subscriber's URL in parts. It is read once, here, so that no other parser can see another host in it."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def read(cls, url: str) -> Self:
        """Read an absolute http or https URL. Raises SubscriberForbiddenError."""
        found = _URL.fullmatch(_AUTHORITY.sub(lambda start: start[0].lower(), url, count=1))
        if found is None or not url.isascii() or len(url) > _LONGEST_URL:
            raise SubscriberForbiddenError("not a plain https URL: no user, fragment, blank or character outside ASCII")
        scheme, target = found["scheme"], found["target"] or "/"
        port = int(found["port"] or _DEFAULT_PORTS[scheme])
        if not 0 < port <= _LAST_PORT:
            raise SubscriberForbiddenError("the port is not one of 1 to 65535")
        if port in _BAD_PORTS:
            raise SubscriberForbiddenError(f"port {port} is another service's, so no events go there")
        return cls(scheme, _host(found["host"]), port, target if target[0] == "/" else f"/{target}")

    @property
    def named(self) -> bool:
        """Whether a name server says where it is: such an answer may be another one in a minute."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """One text for one endpoint, however it was typed."""
        return f"{self.scheme}://{self.authority}{self.target}"


def judge(endpoint: Endpoint, addresses: Iterable[str], *, private: Sequence[Network]) -> list[str]:
    """The addresses in the form to connect to. Raises SubscriberForbiddenError if a single one is forbidden."""
    judged = list(dict.fromkeys(_unwrap(text) for text in addresses))
    for address in judged:
        listed = any(address in network for network in private)
        if not listed and not _is_public(address):
            raise SubscriberForbiddenError(f"{address} is neither public nor in SUBSCRIBER_PRIVATE_CIDRS")
        if not listed and endpoint.scheme != "https":
            raise SubscriberForbiddenError(f"http is for SUBSCRIBER_PRIVATE_CIDRS only, and {address} is not in them")
    return [str(address) for address in judged]


class GuardedBackend(httpcore2.NetworkBackend):
    """Connects to one endpoint, at an address that was judged a moment before; all of it ends at the deadline."""

    def __init__(self, endpoint: Endpoint, *, private: Sequence[Network], deadline: float, resolve: Resolve) -> None:
        self._endpoint = endpoint
        self._private = private
        self._deadline = deadline
        self._resolve = resolve
        self._tcp = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Resolve, judge every answer, and connect to the first that takes the connection."""
        failure: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses(host, port)[:_MOST_ADDRESSES]:
            seconds = min(_CONNECT_SECONDS, _left(self._deadline, httpcore2.ConnectTimeout))
            try:
                stream = self._tcp.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            answers = self._resolve(host, port)
        except OSError as error:
            raise httpcore2.ConnectError("not resolved") from error
        try:
            return judge(self._endpoint, answers, private=self._private)
        except SubscriberForbiddenError as error:
            if not self._endpoint.named:
                raise
            raise SubscriberAddressError(*error.args) from error


class _TimedStream(httpcore2.NetworkStream):
    """A connection that ends at its deadline: timeouts alone begin anew with each byte of a slow answer."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline rules
        return self._stream.read(max_bytes, _left(self._deadline, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline rules
        self._stream.write(buffer, _left(self._deadline, httpcore2.WriteTimeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
    ) -> httpcore2.NetworkStream:
        # Never zero: the failure has to come from within, where the socket is closed.
        seconds = max(self._deadline - time.monotonic(), 0.001)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _host(text: str) -> str:
    if text.startswith("["):
        return str(_literal(text[1:-1], IPv6Address))
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(_literal(text, IPv4Address))
    if len(text) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise SubscriberForbiddenError("the host is neither a name nor an address; a name has no dot at its end")
    return text


def _literal(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> IPv4Address | IPv6Address:
    try:
        return kind(text)
    except ValueError:
        raise SubscriberForbiddenError("the host is not an address in its usual form") from None


def _unwrap(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or any(address in network for network in _NEVER):
        return False
    return isinstance(address, IPv4Address) or (address in _UNICAST_V6 and _is_public_inside(address))


def _is_public_inside(address: IPv6Address) -> bool:
    """ISATAP hides an IPv4 address behind any prefix: a router with such a tunnel would send it there."""
    if int(address) >> 32 & 0xFFFFFFFF not in _ISATAP:
        return True
    return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))


def _left(deadline: float, late: type[Exception]) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise late("deadline")
    return seconds
