"""What is thrown at the door: honest requests, honest ones cut short, broken ones, and chance; all from a seed."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tests.receiver.catalogue.case import HEAD, chunked, post
from tests.receiver.catalogue.cases import CASES
from tests.schemas.test_mutations import BODIES, struck

Peer = Literal["jumio", "stranger", "proxy"]
# Large bodies are the catalogue's; here it is the number that counts.
SMALL = 20_000
SEEDS = [case.data for case in CASES.values() if len(case.data) < SMALL]
SAMPLES = [body for body in BODIES.values() if len(body) < SMALL]
LINES = (
    b"Content-Length: 2", b"Content-Length: 0", b"Content-Length:\t7 ", b"Content-Length: 99999999999999999999",
    b"Content-Length: -0", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, chunked", b"TE: trailers",
    b"transfer-encoding:\x0bchunked", b"Expect: 100-continue", b"Connection: close", b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket", b"Upgrade: h2c", b"Host: other.test", b"Host:", b": nameless", b"No-Colon", b" folded: line",
    b"X-Forwarded-For: 127.0.0.20", b"X-Forwarded-For: ,,", b"Forwarded: for=127.0.0.20", b"Trailer: X-Forwarded-For",
    b"Content-Encoding: gzip", b"X-Long: " + b"l" * 9000, b"X-\xff: \x00",
)  # fmt: skip
TARGETS = (
    b"/callbacks/default", b"/callbacks/default/", b"/callbacks/default?q=%00", b"http://h/callbacks/default", b"*",
    b"/callbacks/default#f", b"/callbacks/%64efault", b"/callbacks/other", b"/readyz", b"/livez", b"/metrics", b"\xff",
    b"/callbacks/default/" + b"s" * 3000, b"http://", b"http:///x", b"/callbacks/\xe2\x80\xae", b"host:1", b"/", b"//",
    b"",
)  # fmt: skip
METHODS = (b"POST", b"POST", b"POST", b"GET", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"post", b"M-SEARCH", b"")
VERSIONS = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.1 ", b"")


@dataclass(frozen=True)
class Input:
    """One connection: who, which bytes in which pieces, how it ends, and whether an honest body is in it whole."""

    number: int
    peer: Peer
    data: bytes
    cuts: tuple[int, ...]
    end: Literal["half-close", "close", "reset"]
    # None: whoever reads it may find what it likes, but not half a body.
    whole: bool | None = None

    def pieces(self) -> Iterator[bytes]:
        for start, stop in zip((0, *self.cuts), (*self.cuts, len(self.data)), strict=True):
            yield self.data[start:stop]


def drawn(seed: int, number: int) -> Input:
    """The input of this number, the same for the same seed."""
    dice = random.Random(f"{seed}/{number}")
    data, whole = dice.choice((_honest, _short, _struck, _struck, _struck, _composed, _composed, _several, _chance))(
        dice
    )
    cuts = sorted(dice.sample(range(len(data)), min(len(data), dice.choice((0, 0, 1, 2, 5)))))
    peer = dice.choices(("jumio", "stranger", "proxy"), (8, 1, 1))[0]
    end = dice.choices(("half-close", "close", "reset"), (8, 1, 1))[0]
    return Input(number, peer, data, tuple(cuts), end, whole)


def is_whole(body: bytes, data: bytes) -> bool:
    """Whether these bytes, read as kindly as can be, hold a request with exactly this body and its end."""
    starts = [found.end() for found in re.finditer(rb"\n\r?\n", data)]
    if not body:
        return bool(starts)
    length = re.compile(rb"(?i)content-length:[ \t]*0*%d[ \t\r]*\n" % len(body))
    return any(
        (data[start : start + len(body)] == body and length.search(data, 0, start)) or _dechunked(data[start:]) == body
        for start in starts
    )


def _dechunked(rest: bytes) -> bytes | None:
    body = b""
    while found := re.match(rb"([0-9A-Fa-f]+)[^\n]*\n", rest):
        size, rest = int(found[1], 16), rest[found.end() :]
        if not size:
            return body if re.match(rb"\r?\n|[^\0]*?\n\r?\n", rest) else None
        if len(rest) < size:
            return None
        body += rest[:size]
        rest = rest[size:].removeprefix(b"\r").removeprefix(b"\n")
    return None


def _framed(body: bytes, dice: random.Random) -> bytes:
    if not body or dice.random() < 0.5:
        return post(body, *dice.sample((b"X-A: b", b"Content-Type: application/json", b"Accept: */*"), 2))
    cuts = sorted(dice.sample(range(1, len(body)), min(len(body) - 1, dice.randrange(4))))
    return chunked(*(body[a:b] for a, b in zip((0, *cuts), (*cuts, len(body)), strict=True)))


def _body(dice: random.Random) -> bytes:
    return dice.choice(
        (dice.choice(SAMPLES), struck(dice.choice(SAMPLES), dice), dice.randbytes(dice.randrange(1, 4000)))
    )


def _honest(dice: random.Random) -> tuple[bytes, bool | None]:
    return _framed(_body(dice) or b"{}", dice), True


def _short(dice: random.Random) -> tuple[bytes, bool | None]:
    data = _framed(_body(dice) or b"{}", dice)
    return data[: dice.randrange(len(data))], False


def _struck(dice: random.Random) -> tuple[bytes, bool | None]:
    data = dice.choice((dice.choice(SEEDS), _framed(_body(dice), dice)))
    for _ in range(dice.choice((1, 1, 2, 4))):
        # Most of what breaks a request is in its head.
        end = data.find(b"\r\n\r\n") + 4 if dice.random() < 0.7 else len(data)
        data = struck(data[:end], dice) + data[end:]
    return data, None


def _composed(dice: random.Random) -> tuple[bytes, bool | None]:
    line = dice.choice((b" ", b" ", b" ", b"\t", b"  ")).join(
        dice.choice(each) for each in (METHODS, TARGETS, VERSIONS)
    )
    ends = dice.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"))
    lines = [b"Host: receiver.test"] * (dice.random() < 0.9) + dice.sample(LINES, dice.randrange(5))
    dice.shuffle(lines)
    body = dice.choice(
        (b"", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nX-Forwarded-For: 127.0.0.20\r\n\r\n", _body(dice))
    )
    return ends.join((line, *lines, b"", body)), None


def _several(dice: random.Random) -> tuple[bytes, bool | None]:
    return b"".join(dice.choice((_honest, _composed, _struck))(dice)[0] for _ in range(dice.randrange(2, 4))), None


def _chance(dice: random.Random) -> tuple[bytes, bool | None]:
    return dice.choice((b"", HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")) + dice.randbytes(
        dice.randrange(2000)
    ), None
