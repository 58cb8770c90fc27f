"""One row of the catalogue: what is sent, byte for byte, and what must come of it on each way to the receiver."""

from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from tests.receiver.serving import JUMIO, STRANGER

Way = Literal["direct", "nginx", "haproxy"]
HEAD = b"POST /callbacks/default HTTP/1.1\r\nHost: receiver.test\r\n"
LIMIT = 1_048_576
# More of a stranger's body is not read.
UNREAD = 16_384


@dataclass(frozen=True)
class Outcome:
    """What may be answered, and how many rows are kept.

    `answers` is written as in "100 200 | 400 | -": alternatives, each the statuses on one connection, "-" none at all.
    """

    answers: str
    kept: tuple[int, ...] = (0,)

    @property
    def alternatives(self) -> list[list[int]]:
        return [[int(code) for code in each.split() if code != "-"] for each in self.answers.split("|")]

    def of_a_stranger(self, way: Way) -> Self:
        """What would be kept is refused. The receiver asks for no body and closes; proxies do and go on."""
        refused = [
            ["403" if code in {"200", "413"} else code for code in each.split()] for each in self.answers.split("|")
        ]
        if way == "direct":
            refused = [each[: each.index("403") + 1] if "403" in each else each for each in refused]
            refused = [[code for code in each if code != "100"] for each in refused]
        return replace(self, answers=" | ".join(map(" ".join, refused)), kept=(0,))


@dataclass(frozen=True)
class Case:
    """A numbered case. Where a proxy answers otherwise, its column says how."""

    id: str
    about: str
    data: bytes
    expected: Outcome
    nginx: Outcome | None = None
    haproxy: Outcome | None = None
    body: bytes | None = None
    peer: str = JUMIO
    half_close: bool = False
    # Spoken without TLS where the way has it.
    plain: bool = False

    def outcome(self, way: Way) -> Outcome:
        return {"direct": None, "nginx": self.nginx, "haproxy": self.haproxy}[way] or self.expected

    def from_a_stranger(self) -> Self:
        expected, nginx, haproxy = (self.outcome(way).of_a_stranger(way) for way in get_args(Way))
        if len(self.data) > UNREAD:
            # Closed before all of it was sent, a caller may meet a reset before it reads the answer.
            expected, nginx, haproxy = (
                replace(each, answers=f"{each.answers} | -") for each in (expected, nginx, haproxy)
            )
        return replace(self, peer=STRANGER, expected=expected, nginx=nginx, haproxy=haproxy, body=None)


def kept(answers: str = "200", *rows: int) -> Outcome:
    """Answered, and kept."""
    return Outcome(answers, rows or (1,))


def not_kept(answers: str) -> Outcome:
    """Answered, and nothing kept."""
    return Outcome(answers)


def post(body: bytes = b"{}", *lines: bytes, path: bytes = b"/callbacks/default") -> bytes:
    """A whole callback with these header lines more."""
    more = b"".join(line + b"\r\n" for line in lines)
    return b"POST %s HTTP/1.1\r\nHost: receiver.test\r\n%sContent-Length: %d\r\n\r\n%s" % (path, more, len(body), body)


def chunked(*chunks: bytes, lines: bytes = b"", trailer: bytes = b"") -> bytes:
    """A whole callback in chunks."""
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return HEAD + lines + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n" + trailer + b"\r\n"
