"""Who calls, seen through trusted hops."""

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.source import caller, trace

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
GENUINE = "34.202.241.227"


def xff(peer: str | None, *lines: str) -> str:
    return str(caller(peer, lines, trusted=TRUSTED, header="x-forwarded-for"))


def forwarded(peer: str | None, *lines: str) -> str:
    return str(caller(peer, lines, trusted=TRUSTED, header="forwarded"))


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        (GENUINE, (), GENUINE),
        ("6.6.6.6", (GENUINE,), "6.6.6.6"),
        ("10.1.1.1", (GENUINE,), GENUINE),
        ("::ffff:10.1.1.1", (GENUINE,), GENUINE),
        ("10.1.1.1", (f"6.6.6.6, {GENUINE}",), GENUINE),
        ("10.1.1.1", (GENUINE, "6.6.6.6"), "6.6.6.6"),
        ("10.1.1.1", (f"{GENUINE}, 10.2.2.2", "fd00::5"), GENUINE),
        ("10.1.1.1", (f"::ffff:{GENUINE}",), GENUINE),
        ("10.1.1.1", (f"{GENUINE}:4711",), GENUINE),
        ("10.1.1.1", ("[2A05:D018:0000:0000::0001]:4711",), "2a05:d018::1"),
        ("10.1.1.1", ("2a05:d018::1%eth0",), "2a05:d018::1"),
        ("10.1.1.1", (f"<script>, {GENUINE}",), GENUINE),
        ("fe80::1%eth0", (), "fe80::1"),
    ],
)
def test_the_right_most_untrusted_hop_calls(peer: str, lines: tuple[str, ...], expected: str) -> None:
    assert xff(peer, *lines) == expected


@pytest.mark.parametrize(
    "entry",
    ["", ",", " , ,x", "unknown", "_hidden", "<script>", "1.2.3", "10.9.9.9", f"{GENUINE},", f"{GENUINE},unknown",
     f"{GENUINE}\x85", f"{GENUINE}:", "034.202.241.227", f"[{GENUINE}", "\uff11.2.3.4"],
)  # fmt: skip
def test_what_cannot_be_read_is_nobody(entry: str) -> None:
    assert xff("10.1.1.1", entry) == "None"


def test_only_trusted_hops_no_peer_or_a_socket_path_are_nobody() -> None:
    assert [xff("10.1.1.1"), xff(None, GENUINE), xff("", GENUINE), xff("/run/receiver.sock")] == ["None"] * 4


def test_a_walk_ends_after_32_hops() -> None:
    assert xff("10.1.1.1", ", ".join([GENUINE] + ["10.0.0.9"] * 31)) == GENUINE
    assert xff("10.1.1.1", ", ".join([GENUINE] + ["10.0.0.9"] * 32)) == "None"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("for=34.202.241.227",), GENUINE),
        (('For="34.202.241.227:4711";proto=https;by=10.1.1.1',), GENUINE),
        (('for=6.6.6.6, for="[2001:4860::1]:4711"',), "2001:4860::1"),
        (("for=34.202.241.227", "for=10.5.5.5;proto=http"), GENUINE),
        (('host="a, for=1.1.1.1;x=";for=34.202.241.227',), GENUINE),
        (("proto=https",), "None"),
        (("for=1.1.1.1;for=34.202.241.227",), "None"),
        (("for=unknown",), "None"),
        (("for=_secret",), "None"),
        (('for="34.202.241.227',), "None"),
        (("for=34.202.241.227,",), "None"),
        ((f'for={GENUINE};x="', 'for="[2001:db8::bad]"'), "None"),
        ((GENUINE,), "None"),
    ],
)
def test_the_forwarded_header_is_read_strictly(lines: tuple[str, ...], expected: str) -> None:
    assert forwarded("10.1.1.1", *lines) == expected


def test_the_walked_hops_are_counted() -> None:
    traced = trace("10.1.1.1", [f"{GENUINE}, 10.0.0.2"], trusted=TRUSTED, header="x-forwarded-for")

    assert (str(traced.address), traced.hops) == (GENUINE, 2)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["6.6.6.6", "2001:4860::1"]), st.sampled_from(["x-forwarded-for"]))
def test_whatever_an_attacker_writes_the_proxys_own_entry_decides(text: str, attacker: str, header: str) -> None:
    assert xff("10.1.1.1", text, attacker) == attacker


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet='for=1.,;"\\ \t[]:ab', max_size=60), st.sampled_from(["6.6.6.6", '"[2001:4860::1]:80"']))
def test_forwarded_text_of_an_attacker_makes_nobody_else_of_it(text: str, attacker: str) -> None:
    found = forwarded("10.1.1.1", text, f"for={attacker};proto=https")

    assert found in {"6.6.6.6", "2001:4860::1", "None"}


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.none(), st.text(max_size=30)), st.lists(st.text(max_size=60), max_size=4))
def test_nothing_that_is_sent_raises(peer: str | None, lines: list[str]) -> None:
    xff(peer, *lines)
    forwarded(peer, *lines)
    forwarded("10.1.1.1", *lines)
