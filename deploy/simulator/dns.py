"""An authoritative DNS server on loopback, UDP and TCP on one port, that can misbehave on demand."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, cast

import dns.exception
import dns.flags
import dns.message
import structlog

from deploy.simulator.loop import LoopThread
from deploy.simulator.zone import CALLBACK_ZONE, Behaviour, Rule, Zone, reply

log = structlog.get_logger()

# RFC 1035: what a resolver takes over UDP unless it says more by EDNS.
PLAIN_UDP_BYTES = 512
# Another program can hold the UDP side of a port whose TCP side was free.
PORT_ATTEMPTS = 20
GARBAGE = bytes(range(7, 40))


class DnsServer:
    """Safe to change from any thread while it answers.

    with DnsServer({"callback.jumio.com": ["127.0.0.11"]}).running() as server:
        server.set("callback.jumio.com", behaviour="servfail", rdtype="AAAA")
        assert server.queries["callback.jumio.com", "A"] == 0
    """

    def __init__(
        self,
        zone: Mapping[str, Sequence[str]] = CALLBACK_ZONE,
        *,
        ttl: int = 60,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._lock = threading.Lock()
        self._zone: Zone = {name.rstrip(".").lower(): Rule(tuple(found), ttl=ttl) for name, found in zone.items()}
        self._overrides: dict[tuple[str, str], Behaviour] = {}
        self._queries: Counter[tuple[str, str]] = Counter()
        self._loop = LoopThread("simulator-dns")
        self._talks: set[asyncio.Task[None]] = set()
        self.host, self.port = host, port

    @property
    def address(self) -> str:
        """As DNS_SERVERS takes it."""
        return f"{self.host}:{self.port}"

    @property
    def queries(self) -> Counter[tuple[str, str]]:
        """How often each (name, record type) was asked for, over UDP and TCP together."""
        with self._lock:
            return self._queries.copy()

    def set(
        self,
        name: str,
        *,
        addresses: Sequence[str] | None = None,
        behaviour: Behaviour | None = None,
        rdtype: str | None = None,
        ttl: int | None = None,
        cname: Sequence[str] | None = None,
    ) -> None:
        """Change only what is given. A behaviour without record type is for both; the rest is the name's.

        Behaviours: normal, servfail, nxdomain, refused, empty, silent, truncated, garbage.
        """
        name = name.rstrip(".").lower()
        with self._lock:
            rule = self._zone.get(name, Rule())
            self._zone[name] = rule.changed(addresses=addresses, ttl=ttl, cname=cname)
            if behaviour is not None:
                for each in (rdtype,) if rdtype else ("A", "AAAA"):
                    self._overrides[name, each.upper()] = behaviour

    def addresses(self) -> tuple[str, ...]:
        """Every address that any name has now."""
        with self._lock:
            return tuple(dict.fromkeys(found for rule in self._zone.values() for found in rule.addresses))

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        self._loop.start()
        try:
            self._loop.run(self._listen())
        except OSError:
            self._loop.stop()
            raise
        log.info("simulator.dns.started", address=self.address)

    def stop(self) -> None:
        self._loop.run(self._close())
        self._loop.stop()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        udp, tcp = _bind(self.host, self.port)
        self.port = udp.getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._tcp = await asyncio.start_server(self._converse, sock=tcp)

    async def _close(self) -> None:
        self._udp.close()
        self._tcp.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        if talk:
            self._talks.add(talk)
        # CancelledError too: on Python 3.11 a cancelled handler is reported as an unhandled error.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                [length] = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length), over_udp=False)
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
        writer.close()
        if talk:
            self._talks.discard(talk)

    def answer(self, wire: bytes, *, over_udp: bool) -> bytes | None:
        """What goes back, None for silence."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if not query.question:
            return None

        name = query.question[0].name.to_text(omit_final_dot=True).lower()
        rdtype = query.question[0].rdtype.name
        with self._lock:
            self._queries[name, rdtype] += 1
            behaviour = self._overrides.get((name, rdtype), "normal")
            zone = dict(self._zone)

        if behaviour == "silent":
            return None
        if behaviour == "garbage":
            return wire[:2] + GARBAGE
        answer = reply(query, zone, behaviour)
        if over_udp and behaviour == "truncated":
            answer.answer.clear()
            answer.flags |= dns.flags.TC
        limit = max(query.payload, PLAIN_UDP_BYTES) if over_udp else 65535
        return answer.to_wire(max_size=limit, prefer_truncation=True)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport is no subclass of the type that it declares.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        answer = self._server.answer(data, over_udp=True)
        if answer is not None:
            self._transport.sendto(answer, addr)


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """One port for both: resolvers fall back to TCP on the same number."""
    for attempt in range(PORT_ATTEMPTS):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind((host, port))
            tcp.bind((host, udp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
            if port or attempt == PORT_ATTEMPTS - 1:
                raise
        else:
            return udp, tcp
    raise AssertionError
