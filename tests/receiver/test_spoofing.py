"""5,000 random callers, headers, hops and settings: the receiver's reading against one that was written from the rules.

SPOOF_SEED repeats a run, SPOOF_CASES makes it longer.
"""

import os
import random
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from receiver.addresses import AddressBook, Sighting, judge
from receiver.source import ForwardingHeader, trace

SEED = int(os.environ.get("SPOOF_SEED", random.randrange(10**6)))  # noqa: TID251 - to repeat a failure
CASES = int(os.environ.get("SPOOF_CASES", "5000"))  # noqa: TID251
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GENUINE = ("34.202.241.227", "34.226.103.119", "2600:1f18::227")
NEIGHBOURS = ("34.202.241.226", "34.226.103.120", "2600:1f18::226", "6.6.6.6", "2001:4860::1", "127.0.0.1", "::1")
TRUSTED = ("10.0.0.0/8", "192.168.7.0/24", "172.16.3.4/32", "fd00::/8", "2001:db8:7::/48", "127.0.0.1/32",
           "0.0.0.0/1")  # fmt: skip
PROXIES = ("10.0.0.1", "10.255.0.9", "192.168.7.1", "172.16.3.4", "fd00::7", "2001:db8:7::1", "127.0.0.1")
JUNK = (
    "", " ", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "0x7f.1", "::g", ":::", "[", "]", "%",
    "<script>", "34.202.241.227.", "34.202.241.227:", "34.202.241.227:x", "[34.202.241.227", "\x85", '"', "\\", "=",
    "for=", "34.202.241.227 34.202.241.227", "34.202.241.227;", "::ffff:999.1.1.1", "\uff13.1.1.1",
)  # fmt: skip

# --- the rules, step by step, with nothing of the receiver's and nothing of what it is built on -----------------------


def number_of(text: str) -> tuple[int, int] | None:
    """(4 or 6, the address as a number), as the C library reads it; IPv4 in IPv6 is IPv4."""
    if not text.isascii():
        return None
    try:
        return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    except (OSError, ValueError):
        pass
    try:
        raw = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    if raw[:12] == bytes(10) + b"\xff\xff":
        return 4, int.from_bytes(raw[12:], "big")
    return 6, int.from_bytes(raw, "big")


def bare(text: str) -> str:
    """Without what may stand around an address: brackets, a port of one to five digits, a zone."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not (rest[0] == ":" and is_port(rest[1:]))):
            return "unreadable"
        text = inside
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not is_port(port):
            return "unreadable"
    return text.split("%")[0]


def is_port(text: str) -> bool:
    return 1 <= len(text) <= 5 and set(text) <= set("0123456789")


def lies_in(address: tuple[int, int], networks: Sequence[str]) -> bool:
    for network in networks:
        start, _, length = network.partition("/")
        found = number_of(start)
        assert found is not None
        version, first = found
        beyond = (32 if version == 4 else 128) - int(length)
        if address[0] == version and address[1] >> beyond == first >> beyond:
            return True
    return False


def elements_of(text: str) -> list[list[str]] | None:
    """What each element of a Forwarded header says for `for`, letter by letter; None where it breaks the grammar."""
    elements: list[list[str]] = [[]]
    rest = text
    while True:
        name, rest = up_to(rest.lstrip(" \t"), lambda letter: not (letter.isascii() and letter.isalnum()))
        while rest and rest[0] in "!#$%&'*+-.^_`|~":
            more, after = up_to(rest[1:], lambda letter: not (letter.isascii() and letter.isalnum()))
            name, rest = name + rest[0] + more, after
        if not name or not rest.startswith("="):
            return None
        value, rest = value_of(rest[1:])
        if name.lower() == "for":
            elements[-1].append(value)
        rest = rest.lstrip(" \t")
        if not rest:
            return elements
        if rest[0] not in ",;":
            return None
        if rest[0] == ",":
            elements.append([])
        rest = rest[1:]


def value_of(rest: str) -> tuple[str, str]:
    """A value, quoted or not, and what follows it; a quote that is never closed is left standing, and breaks all."""
    if not rest.startswith('"'):
        return up_to(rest, lambda letter: letter in '",;\\ \t')
    value, after = "", rest[1:]
    while after and after[0] != '"':
        size = 2 if after[0] == "\\" else 1
        value, after = value + after[:size], after[size:]
    return (value, after[1:]) if after else ("", rest)


def up_to(text: str, ends: Callable[[str], bool]) -> tuple[str, str]:
    size = next((place for place, letter in enumerate(text) if ends(letter)), len(text))
    return text[:size], text[size:]


def entries_of(lines: Sequence[str], header: ForwardingHeader) -> list[str]:
    """Every hop that is told, from left to right."""
    if not lines:
        return []
    if header == "x-forwarded-for":
        return [entry.strip(" \t") for line in lines for entry in line.split(",")]
    elements = elements_of(",".join(lines))
    if elements is None:
        return ["unreadable"]
    return [said[0] if len(said) == 1 else "unreadable" for said in elements]


def who_calls(
    peer: str | None, lines: Sequence[str], trusted: Sequence[str], header: ForwardingHeader
) -> tuple[int, int] | None:
    """The peer; if it is a proxy of ours, who it says it heard; and so on for 32 hops, or nobody."""
    chain = entries_of(lines, header)[-32:] if peer else []
    candidate = number_of(bare(peer)) if peer else None
    while candidate is not None and lies_in(candidate, trusted):
        candidate = number_of(bare(chain.pop())) if chain else None
    return candidate


# --- what is thrown at both ------------------------------------------------------------------------------------------


def dressed(address: str, dice: random.Random) -> str:
    """The same address as somebody else would write it, mostly."""
    found = ip_address(address)
    ways = [address] * 3
    if found.version == 4:
        ways += [
            f"{address}:{dice.randrange(70_000)}",
            f"::ffff:{address}",
            f"[::ffff:{address}]:80",
            f"::FFFF:{address}",
        ]
    else:
        ways += [found.exploded.upper(), f"[{address}]", f"[{address}]:4711", f"{address}%eth0", f"[{address}%1]:80"]
    return dice.choice(["", "", " ", "\t"]) + dice.choice(ways) + dice.choice(["", "", " "])


def hop(dice: random.Random) -> str:
    kind = dice.choices((PROXIES, GENUINE, NEIGHBOURS, JUNK), (5, 3, 3, 1))[0]
    return dice.choice(JUNK) if kind is JUNK else dressed(dice.choice(kind), dice)


def element(dice: random.Random) -> str:
    said = hop(dice).strip()
    said = dice.choice((said, f'"{said}"', f'"{said}"'))
    name = dice.choice(("for", "for", "For", "FOR", "by", "f\u00f6r"))
    pairs = [
        f"{name}={said}",
        *dice.sample(["proto=https", 'host="a, for=1.1.1.1;x="', "by=10.0.0.1", 'x="'], dice.choice((0, 0, 1, 2))),
    ]
    dice.shuffle(pairs)
    return dice.choice((";", ";", "; ")).join(pairs)


def lines_of(header: ForwardingHeader, dice: random.Random) -> list[str]:
    """Up to four lines of up to six hops; sometimes far more hops than anyone has proxies."""
    part = hop if header == "x-forwarded-for" else element
    lines = [", ".join(part(dice) for _ in range(dice.randrange(1, 6))) for _ in range(dice.choice((0, 1, 1, 1, 2, 3)))]
    if lines and dice.random() < 0.05:
        far = "10.0.0.1" if header == "x-forwarded-for" else "for=10.0.0.1"
        lines.append(", ".join([far] * dice.choice((31, 32, 33))))
    return lines


def test_nobody_is_taken_for_another_whatever_is_sent_and_set() -> None:
    dice = random.Random(SEED)
    print(f"SPOOF_SEED={SEED}")  # noqa: T201 - shown where it fails, and with -s
    book = AddressBook(Sighting("callback.jumio.com", ip_address(address), NOW, NOW) for address in GENUINE)
    admitted = {number_of(address) for address in GENUINE}
    wrong, verdicts = [], {"admitted": 0, "refused": 0}

    for _ in range(CASES):
        header: ForwardingHeader = dice.choice(("x-forwarded-for", "forwarded"))
        trusted, extra = (
            dice.sample(TRUSTED, dice.randrange(5)),
            dice.sample(("6.6.6.0/24", "2001:4860::/32"), dice.randrange(3)),
        )
        peer = dice.choice((None, "/run/receiver.sock")) if dice.random() < 0.02 else hop(dice).strip()
        if dice.random() < 0.5 and trusted:
            peer = dice.choice(PROXIES)
        lines = lines_of(header, dice)

        networks = [ip_network(network) for network in trusted]
        address = trace(peer, lines, trusted=networks, header=header).address
        verdict = judge(address, book, extra=[ip_network(network) for network in extra], now=NOW).verdict

        caller = who_calls(peer, lines, trusted, header)
        right = "admitted" if caller in admitted or (caller and lies_in(caller, extra)) else "refused"
        verdicts[right] += 1
        if (address and (address.version, int(address))) != caller or verdict != right:
            wrong.append((peer, lines, trusted, extra, header, str(address), caller, verdict))

    assert wrong == [], f"SPOOF_SEED={SEED}"
    assert min(verdicts.values()) > CASES / 10
