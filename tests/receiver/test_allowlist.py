"""The allow-list against a DNS server that misbehaves."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import psycopg
import pytest
from structlog.testing import capture_logs

from deploy.simulator.dns import DnsServer
from receiver import allowlist as allowlist_module
from receiver import flights, lookup
from receiver.allowlist import LONGEST_REFRESH, SHORTEST_REFRESH, Allowlist
from receiver.lookup import Lookup
from schemas.settings import Settings, SettingsError
from tests.receiver.conftest import NAMES
from tests.waiting import eventually

ONE, TWO, NEW, STRANGER = (ip_address(f"127.0.0.{number}") for number in (11, 12, 13, 66))
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
# What a busy machine adds to a bound; without the bound it would be as long as DNS is silent, or a look-up for each.
BUSY_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flights, "PACE_SECONDS", 0.3)
    monkeypatch.setattr(flights, "WAIT_SECONDS", 1.5)
    monkeypatch.setattr(lookup, "LIFETIME_SECONDS", 1.0)


@contextlib.asynccontextmanager
async def opened(dns: DnsServer, url: str = NOWHERE, **changes: str) -> AsyncIterator[Allowlist]:
    environment = {
        "DATABASE_URL": url,
        "SOURCE_HOSTS": ",".join(NAMES),
        "SOURCE_ALLOW_PRIVATE": "true",
        "DNS_SERVERS": dns.address,
        **changes,
    }
    allowlist = Allowlist(Settings.load(environment=environment))
    await allowlist.open()
    try:
        yield allowlist
    finally:
        await allowlist.close()


def run(test: Coroutine[object, object, None]) -> None:
    asyncio.run(test)


def test_every_name_is_asked_for_both_record_types_and_known_addresses_cost_no_question(dns: DnsServer) -> None:
    async def test() -> None:
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            asked = dns.queries
            for _ in range(50):
                assert (await allowlist.judge(TWO)).verdict == "admitted"

        assert set(asked.values()) == {1}
        assert set(asked) == {(name, kind) for name in NAMES for kind in ("A", "AAAA")}
        assert dns.queries == asked

    run(test())


@pytest.mark.parametrize("behaviour", ["servfail", "nxdomain", "refused", "empty"])
def test_the_last_good_answer_stands_through_every_failure(dns: DnsServer, behaviour: str) -> None:
    async def test() -> None:
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            for name in NAMES:
                dns.set(name, behaviour=behaviour)  # type: ignore[arg-type]
            assert (await allowlist.judge(STRANGER)).verdict == "refused"
            assert (await allowlist.judge(ONE)).verdict == "admitted"

    run(test())


def test_aaaa_alone_may_fail(dns: DnsServer) -> None:
    async def test() -> None:
        dns.set(NAMES[0], behaviour="servfail", rdtype="AAAA")
        dns.set(NAMES[1], behaviour="silent", rdtype="AAAA")
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2, seconds=2)

    run(test())


def test_a_truncated_answer_is_read_over_tcp(dns: DnsServer) -> None:
    async def test() -> None:
        dns.set(NAMES[0], behaviour="truncated")
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.knows(ONE))

    run(test())


def test_more_addresses_than_a_host_has_are_an_alarm_and_change_nothing(dns: DnsServer) -> None:
    async def test() -> None:
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            many = [f"127.0.{third}.{fourth}" for third in range(1, 3) for fourth in range(1, 40)]
            dns.set(NAMES[0], addresses=many)
            with capture_logs() as logs:
                assert (await allowlist.judge(ip_address(many[0]))).verdict == "refused"

        assert allowlist.knows(ONE)
        assert "allowlist.overfull" in {line["event"] for line in logs}

    run(test())


@pytest.mark.parametrize("private", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "168.63.129.16"])
def test_private_addresses_are_dropped_whatever_dns_says(dns: DnsServer, private: str) -> None:
    async def test() -> None:
        dns.set(NAMES[0], addresses=[private, "34.202.241.227"])
        dns.set(NAMES[1], behaviour="nxdomain")
        with capture_logs() as logs:
            async with opened(dns, SOURCE_ALLOW_PRIVATE="false") as allowlist:
                await eventually(lambda: allowlist.admitted() == 1)
                assert (await allowlist.judge(ip_address(private))).verdict == "refused"
                assert (await allowlist.judge(ip_address("34.202.241.227"))).verdict == "admitted"

        assert "allowlist.private_answered" in {line["event"] for line in logs}

    run(test())


def test_a_new_address_is_admitted_by_one_look_up_for_all_who_wait(dns: DnsServer) -> None:
    async def test() -> None:
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            before = dns.queries[NAMES[0], "A"]
            dns.set(NAMES[0], addresses=["127.0.0.11", "127.0.0.13"])
            judgements = await asyncio.gather(*(allowlist.judge(NEW) for _ in range(100)))

        assert {judgement.verdict for judgement in judgements} == {"admitted"}
        assert dns.queries[NAMES[0], "A"] == before + 1

    run(test())


def test_a_crowd_of_strangers_makes_few_look_ups(dns: DnsServer) -> None:
    async def test() -> None:
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            strangers = [ip_address(0x0A000000 + number) for number in range(1000)]
            before, began = dns.queries[NAMES[0], "A"], time.monotonic()
            for crowd in (strangers, strangers[:200]):
                judgements = await asyncio.gather(*(allowlist.judge(address) for address in crowd))
                assert {judgement.verdict for judgement in judgements} == {"refused"}

        assert time.monotonic() - began < flights.PACE_SECONDS + BUSY_SECONDS
        assert dns.queries[NAMES[0], "A"] - before <= 2

    run(test())


def test_without_any_answer_callers_are_unverified_and_judged_once_there_is_one(dns: DnsServer) -> None:
    async def test() -> None:
        for name in NAMES:
            dns.set(name, behaviour="servfail")
        async with opened(dns) as allowlist:
            assert (await allowlist.judge(STRANGER)).evidence == {"rule": "unverified"}
            assert allowlist.silent_seconds() is None
            dns.set(NAMES[0], behaviour="normal")
            assert (await allowlist.judge(ONE)).verdict == "admitted"
            assert (await allowlist.judge(STRANGER)).verdict == "refused"

    run(test())


def test_silence_costs_an_unknown_caller_a_bounded_wait_and_a_second_call_nothing(dns: DnsServer) -> None:
    async def test() -> None:
        for name in NAMES:
            dns.set(name, behaviour="silent")
        async with opened(dns) as allowlist:
            began = time.monotonic()
            assert (await allowlist.judge(STRANGER)).verdict == "unverified"
            assert time.monotonic() - began < flights.WAIT_SECONDS + BUSY_SECONDS
            again = time.monotonic()
            assert (await allowlist.judge(STRANGER)).verdict == "unverified"
            assert time.monotonic() - again < flights.WAIT_SECONDS

    run(test())


def test_a_restart_without_dns_has_what_was_known_and_other_replicas_too(dns: DnsServer, database: str) -> None:
    async def test() -> None:
        async with opened(dns, database) as first:
            await eventually(lambda: first.admitted() == 2)
            await eventually(lambda: len(_stored(database)) == 2)
        for name in NAMES:
            dns.set(name, behaviour="silent")
        async with opened(dns, database) as second:
            assert second.admitted() == 2

    run(test())


def test_an_address_that_left_dns_days_ago_is_refused_after_a_restart(dns: DnsServer, database: str) -> None:
    async def test() -> None:
        now = datetime.now(UTC)
        with psycopg.connect(database, autocommit=True) as conn:
            for address, left_hours in ((NEW, 23), (STRANGER, 25)):
                seen, left = now - timedelta(hours=left_hours + 1), now - timedelta(hours=left_hours)
                values = (NAMES[0], str(address), seen, seen, left)
                conn.execute("INSERT INTO pipeline.source_addresses VALUES (%s, %s, %s, %s, %s)", values)
        async with opened(dns, database) as allowlist:
            assert (await allowlist.judge(NEW)).verdict == "admitted"
            assert (await allowlist.judge(STRANGER)).verdict == "refused"

    run(test())


def test_a_name_that_loses_most_of_its_addresses_at_once_is_an_alarm(dns: DnsServer) -> None:
    async def test() -> None:
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            dns.set(NAMES[0], addresses=["127.0.0.13"])
            with capture_logs() as logs:
                assert (await allowlist.judge(NEW)).verdict == "admitted"
                assert (await allowlist.judge(ONE)).verdict == "admitted"

        assert "allowlist.changed" in {line["event"] for line in logs}

    run(test())


def test_a_name_without_answers_is_an_alarm(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(allowlist_module, "STALE_SECONDS", 0.5)
        dns.set(NAMES[0], behaviour="servfail")
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 1)
            await asyncio.sleep(0.6)
            with capture_logs() as logs:
                await allowlist.judge(STRANGER)

        assert [line["name"] for line in logs if line["event"] == "allowlist.aged"] == [NAMES[0]]

    run(test())


def test_observe_admits_and_says_what_would_have_been(dns: DnsServer) -> None:
    async def test() -> None:
        async with opened(dns, SOURCE_CHECK="observe") as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            assert (await allowlist.judge(STRANGER)).evidence == {"rule": "observe", "would_be": "refused"}
            assert (await allowlist.judge(None)).evidence == {"rule": "observe", "would_be": "unreadable"}

    run(test())


@pytest.mark.parametrize(("ttl", "about"), [(0, SHORTEST_REFRESH), (60, 60), (86400, LONGEST_REFRESH)])
def test_the_answers_ttl_decides_within_bounds_when_to_ask_again(dns: DnsServer, ttl: int, about: float) -> None:
    async def test() -> None:
        for name in NAMES:
            dns.set(name, ttl=ttl)
        async with opened(dns) as allowlist:
            await eventually(lambda: allowlist.admitted() == 2)
            assert 0.9 * about <= allowlist.refresh_in() <= 1.1 * about

    run(test())


def test_garbage_is_waited_out_and_an_alias_is_followed(dns: DnsServer) -> None:
    async def test() -> None:
        dns.set(NAMES[0], cname=["elsewhere.test"])
        dns.set(NAMES[1], behaviour="garbage")
        resolver = Lookup([dns.address])
        found, lost = await asyncio.gather(resolver.ask(NAMES[0], "A"), resolver.ask(NAMES[1], "A"))

        assert found.addresses == (ONE,)
        assert lost.failure

    run(test())


@pytest.mark.parametrize("servers", [["127.0.0.1"], ["127.0.0.1:5353"], ["::1"], ["[::1]"], ["[::1]:5353"]])
def test_name_servers_are_read_in_every_spelling(servers: list[str]) -> None:
    Lookup(servers)


@pytest.mark.parametrize("servers", [["dns.example"], ["127.0.0.1:x"], [""]])
def test_a_name_server_that_is_none_is_said_at_the_start(servers: list[str]) -> None:
    with pytest.raises(SettingsError, match="DNS_SERVERS"):
        Lookup(servers)


def _stored(url: str) -> list[object]:
    with psycopg.connect(url) as conn:
        return list(conn.execute("SELECT FROM pipeline.source_addresses"))
