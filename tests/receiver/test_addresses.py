"""The rule by which callers are judged."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.addresses import GRACE, LAST_GOOD, AddressBook, Sighting, explain, is_public, judge, observed
from schemas.settings import Settings

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ONE, TWO, OTHER = (ip_address(f"34.202.241.{number}") for number in (1, 2, 3))
HOUR = timedelta(hours=1)


def book(*sightings: Sighting) -> AddressBook:
    return AddressBook(sightings)


def verdict(known: AddressBook, address: object = ONE, now: datetime = NOW) -> str:
    return judge(ip_address(str(address)), known, extra=(), now=now).verdict


@pytest.mark.parametrize(
    "address",
    ["192.88.99.1", "224.0.0.1", "168.63.129.16", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
     "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "fec0::1", "3fff::1", "5f00::1", "ff02::1", "10.0.0.1",
     "127.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1", "fe80::1", "fd00::1", "2001:0:4136::1",
     "255.255.255.255", "192.168.1.1", "172.31.0.1", "198.18.0.1", "240.0.0.1", "::"],
)  # fmt: skip
def test_dangerous_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["34.202.241.227", "52.209.180.134", "2a05:d018::1", "3.0.109.121"])
def test_addresses_of_clouds_are_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_what_dns_said_admits_with_name_and_age() -> None:
    judgement = judge(ONE, book(Sighting("a", ONE, NOW - HOUR, NOW - HOUR)), extra=(), now=NOW)

    assert judgement.evidence == {"rule": "dns", "name": "a", "age_seconds": 3600}


def test_before_the_first_answer_nobody_is_refused_and_the_extras_are_admitted() -> None:
    extra = (ip_network("34.202.241.0/31"),)

    assert verdict(book()) == "unverified"
    assert judge(ONE, book(), extra=extra, now=NOW).evidence == {"rule": "extra", "network": "34.202.241.0/31"}
    assert judge(None, book(), extra=extra, now=NOW).evidence == {"rule": "unreadable"}


def test_an_address_that_left_is_admitted_for_the_grace_and_no_longer() -> None:
    known = book(Sighting("a", ONE, NOW, NOW)).answered("a", version=4, addresses=[TWO], at=NOW + HOUR)

    assert verdict(known, now=NOW + HOUR + GRACE) == "admitted"
    assert verdict(known, now=NOW + HOUR + GRACE + HOUR) == "refused"


def test_a_last_good_answer_stands_for_seven_days_and_then_refuses_rather_than_opens() -> None:
    known = book(Sighting("a", ONE, NOW, NOW))

    assert verdict(known, now=NOW + LAST_GOOD) == "admitted"
    assert verdict(known, now=NOW + LAST_GOOD + HOUR) == "refused"


def test_an_answer_of_one_family_says_nothing_of_the_other() -> None:
    six = ip_address("2a05:d018::1")
    known = book(Sighting("a", six, NOW, NOW)).answered("a", version=4, addresses=[ONE], at=NOW + HOUR)

    assert known.current("a", version=6) == {six}


def test_an_address_that_comes_back_is_as_if_it_never_left() -> None:
    known = book().answered("a", version=4, addresses=[ONE], at=NOW)
    known = known.answered("a", version=4, addresses=[TWO], at=NOW + HOUR)
    known = known.answered("a", version=4, addresses=[ONE, TWO], at=NOW + 2 * HOUR)

    assert {sighting.left_at for sighting in known.sightings} == {None}


def test_under_observe_everyone_is_admitted_and_it_is_kept_what_would_have_been() -> None:
    judgement = observed(judge(OTHER, book(Sighting("a", ONE, NOW, NOW)), extra=(), now=NOW))

    assert (judgement.verdict, judgement.evidence) == ("admitted", {"rule": "observe", "would_be": "refused"})


def test_explain_leaves_out_names_and_private_addresses_that_the_settings_no_longer_stand_by() -> None:
    stored = [Sighting("gone", ONE, NOW, NOW), Sighting("callback.jumio.com", ip_address("10.0.0.1"), NOW, NOW)]

    assert explain(ONE, stored, Settings(), NOW).verdict == "unverified"
    assert explain(ip_address("10.0.0.1"), stored, Settings(source_allow_private=True), NOW).verdict == "admitted"


minutes = st.integers(0, 3 * 24 * 60).map(lambda number: NOW + timedelta(minutes=number))
answers = st.lists(st.tuples(minutes, st.sets(st.sampled_from([ONE, TWO, OTHER]), min_size=1)), max_size=8)


@settings(max_examples=300, deadline=None)
@given(answers, minutes, st.sampled_from([ONE, TWO, OTHER]))
def test_the_book_admits_what_any_answer_within_its_time_held(
    said: list[tuple[datetime, set[object]]], later: datetime, address: object
) -> None:
    said.sort(key=lambda answer: answer[0])
    known = book()
    for at, addresses in said:
        known = known.answered("a", version=4, addresses=addresses, at=at)  # type: ignore[arg-type]
    now = max([later, *(at for at, _ in said)])

    seen = [at for at, addresses in said if address in addresses]
    missing = [at for at, addresses in said if address not in addresses and seen and at >= seen[-1]]
    first_missing = next((at for at, addresses in said[_last(said, address) + 1 :]), None) if seen else None
    expected = bool(seen) and now - seen[-1] <= LAST_GOOD and (first_missing is None or now - first_missing <= GRACE)

    assert missing is not None
    assert (verdict(known, address, now) == "admitted") == expected


def _last(said: list[tuple[datetime, set[object]]], address: object) -> int:
    return max(index for index, (_, addresses) in enumerate(said) if address in addresses)


sightings = st.builds(
    Sighting, st.sampled_from(["a", "b"]), st.sampled_from([ONE, TWO]), minutes, minutes, st.one_of(st.none(), minutes)
)


@settings(max_examples=300, deadline=None)
@given(st.lists(sightings, max_size=6), st.lists(sightings, max_size=6))
def test_replicas_that_exchange_what_they_know_end_with_the_same_book(
    mine: list[Sighting], theirs: list[Sighting]
) -> None:
    together = set(AddressBook(mine).merged(theirs).sightings)

    assert together == set(AddressBook(theirs).merged(mine).sightings)
    assert together == set(AddressBook(together).merged(mine).sightings)
