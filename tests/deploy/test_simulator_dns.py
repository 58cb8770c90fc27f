"""The simulator's DNS server against dnspython's own resolver, over real sockets."""

import socket
import threading
from collections.abc import Iterator

import dns.exception
import dns.message
import dns.query
import dns.resolver
import pytest

from deploy.simulator.dns import DnsServer
from deploy.simulator.zone import CALLBACK_ZONE

NAME = "callback.amer-1.jumio.ai"


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer(CALLBACK_ZONE).running() as server:
        yield server


def resolver_of(server: DnsServer, *, lifetime: float = 2.0) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [server.host], server.port
    resolver.lifetime, resolver.timeout = lifetime, lifetime
    return resolver


def addresses(answer: dns.resolver.Answer) -> list[str]:
    return sorted(record.address for record in answer)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("name", CALLBACK_ZONE)
def test_every_callback_name_has_its_addresses(server: DnsServer, name: str, *, tcp: bool) -> None:
    answer = resolver_of(server).resolve(name, "A", tcp=tcp)

    assert addresses(answer) == sorted(CALLBACK_ZONE[name])
    assert answer.rrset is not None
    assert answer.rrset.ttl == 60
    assert server.queries[name, "A"] == 1


def test_a_name_without_addresses_of_a_kind_gives_no_data_with_soa(server: DnsServer) -> None:
    answer = resolver_of(server).resolve(NAME, "AAAA", raise_on_no_answer=False)

    assert answer.rrset is None
    assert [str(rrset.rdtype.name) for rrset in answer.response.authority] == ["SOA"]


def test_an_unknown_name_does_not_exist(server: DnsServer) -> None:
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver_of(server).resolve("callback.example.test", "A")


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("servfail", dns.resolver.NoNameservers),
        ("refused", dns.resolver.NoNameservers),
        ("nxdomain", dns.resolver.NXDOMAIN),
        ("empty", dns.resolver.NoAnswer),
        ("silent", dns.resolver.LifetimeTimeout),
        ("garbage", dns.exception.DNSException),
    ],
)
def test_a_behaviour_is_seen_by_the_resolver(
    server: DnsServer, behaviour: str, error: type[Exception], *, tcp: bool
) -> None:
    server.set(NAME, behaviour=behaviour)  # type: ignore[arg-type]

    with pytest.raises(error):
        resolver_of(server, lifetime=0.3).resolve(NAME, "A", tcp=tcp)


def test_a_behaviour_can_be_of_one_record_type_and_be_taken_back(server: DnsServer) -> None:
    server.set(NAME, addresses=["127.0.0.21", "::1"])
    server.set(NAME, behaviour="servfail", rdtype="AAAA")

    assert addresses(resolver_of(server).resolve(NAME, "A")) == ["127.0.0.21"]
    with pytest.raises(dns.resolver.NoNameservers):
        resolver_of(server).resolve(NAME, "AAAA")

    server.set(NAME, behaviour="normal")

    assert addresses(resolver_of(server).resolve(NAME, "AAAA")) == ["::1"]


def test_a_truncated_answer_is_whole_over_tcp(server: DnsServer) -> None:
    server.set(NAME, behaviour="truncated")

    over_udp = dns.query.udp(dns.message.make_query(NAME, "A"), server.host, port=server.port, timeout=2)

    assert "TC" in dns.flags.to_text(over_udp.flags)
    assert not over_udp.answer
    assert addresses(resolver_of(server).resolve(NAME, "A")) == ["127.0.0.11", "127.0.0.12"]


def test_many_records_do_not_fit_in_a_datagram_but_all_come(server: DnsServer) -> None:
    many = [f"127.1.{number // 250}.{number % 250}" for number in range(600)]
    server.set(NAME, addresses=many)

    answer = resolver_of(server).resolve(NAME, "A")

    assert addresses(answer) == sorted(many)
    assert server.queries[NAME, "A"] == 2


def test_time_to_live_can_be_anything_and_zero(server: DnsServer) -> None:
    server.set(NAME, ttl=0)

    answer = resolver_of(server).resolve(NAME, "A")

    assert answer.rrset is not None
    assert answer.rrset.ttl == 0


def test_a_chain_of_aliases_leads_to_the_addresses(server: DnsServer) -> None:
    server.set(NAME, cname=["edge.jumio.test", "node-7.edge.jumio.test"])

    answer = resolver_of(server).resolve(NAME, "A")

    assert addresses(answer) == ["127.0.0.11", "127.0.0.12"]
    assert answer.canonical_name.to_text() == "node-7.edge.jumio.test."


def test_nonsense_is_not_answered_and_does_no_harm(server: DnsServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"\x00", (server.host, server.port))
        sock.sendto(b"not dns at all", (server.host, server.port))

    assert addresses(resolver_of(server).resolve(NAME, "A"))


def test_it_can_be_changed_by_other_threads_while_it_answers(server: DnsServer) -> None:
    def change() -> None:
        for number in range(200):
            server.set(f"name-{number}.jumio.test", addresses=["127.0.0.9"], behaviour="normal")

    threads = [threading.Thread(target=change) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        resolver_of(server).resolve(NAME, "A")
    for thread in threads:
        thread.join()

    assert server.queries[NAME, "A"] == 50
    assert addresses(resolver_of(server).resolve("name-199.jumio.test", "A")) == ["127.0.0.9"]


def test_a_taken_port_is_an_error_at_once(server: DnsServer) -> None:
    with pytest.raises(OSError, match="in use"), DnsServer(port=server.port).running():
        pass
