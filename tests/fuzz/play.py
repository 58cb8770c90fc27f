"""Throws inputs at a real receiver from several addresses at once, and holds every answer and row against them."""

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import Connection

from deploy.simulator.dns import DnsServer
from receiver.flights import WAIT_SECONDS
from receiver.inbox import ANSWER_SECONDS
from schemas.sealing import KeyRing
from tests.fuzz.inputs import Input, Peer, drawn, is_whole
from tests.receiver.serving import KEYS, Served, serve

THREADS, BATCH = 4, 25
# What we left may be kept so many seconds later: a stranger waits for a look-up, then for a commit.
LEFT_SECONDS = WAIT_SECONDS + ANSWER_SECONDS + 2.0
HANG_SECONDS = 15.0
RING = KeyRing.parse(KEYS)
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
# Of requests on one connection that we left, at most so many may have been kept without our hearing of it.
MOST_ON_ONE = 8


@dataclass
class Fuzzed:
    """What was sent and what came of it."""

    seed: int
    sent: int = 0
    kept: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Reply:
    """What one input came to."""

    sent: Input
    statuses: list[int]
    seconds: float
    ended_at: float


def peers_of(worker: int) -> dict[Peer, str]:
    """Addresses of its own for each worker: rows are told apart by them."""
    return {"jumio": f"127.0.0.{20 + worker}", "stranger": f"127.0.0.{70 + worker}", "proxy": f"127.0.1.{1 + worker}"}


def play(database_url: str, folder: Path, *, seconds: float, seed: int, only: int | None = None) -> Fuzzed:
    """Until the time is over; or the one input that is asked for."""
    found = Fuzzed(seed)
    until = time.monotonic() + seconds
    with receiver(database_url, folder) as served:
        files = open_files(served)
        if only is not None:
            _work(found, served, database_url, [only])
        else:
            with ThreadPoolExecutor(THREADS) as crowd:
                for each in [crowd.submit(_series, found, served, database_url, w, until) for w in range(THREADS)]:
                    each.result()
        _hold_the_process(found, served, files)
    return found


@contextlib.contextmanager
def receiver(database_url: str, folder: Path) -> Iterator[Served]:
    """One that knows the workers' addresses, and their proxies."""
    genuine = [peers_of(worker)["jumio"] for worker in range(THREADS)]
    with DnsServer({"callback.one.test": genuine}).running() as dns:
        environment = {
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEYS": KEYS,
            "BIND": "127.0.0.1:0",
            "METRICS_BIND": "127.0.0.1:0",
            "SOURCE_HOSTS": "callback.one.test",
            "SOURCE_ALLOW_PRIVATE": "true",
            "DNS_SERVERS": dns.address,
            "TRUSTED_PROXIES": "127.0.1.0/24",
            "LOG_FORMAT": "json",
        }
        with serve(environment, folder) as served:
            served.until_ready("durable_write", "allowlist")
            yield served


def open_files(served: Served) -> int:
    return len(os.listdir(f"/proc/{served.process.pid}/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208


def _series(found: Fuzzed, served: Served, database_url: str, worker: int, until: float) -> None:
    start = worker * BATCH
    previous: list[Reply] = []
    while time.monotonic() < until and not found.problems:
        replies = _work(found, served, database_url, range(start, start + BATCH), previous)
        left = [*previous, *(reply for reply in replies if reply.sent.end != "half-close")]
        previous = [reply for reply in left if time.monotonic() - reply.ended_at < LEFT_SECONDS]
        start += THREADS * BATCH


def _work(
    found: Fuzzed, served: Served, database_url: str, numbers: list[int] | range, previous: list[Reply] | None = None
) -> list[Reply]:
    peers = peers_of(numbers[0] // BATCH % THREADS)
    replies = [_throw(served, drawn(found.seed, number), peers) for number in numbers]
    with psycopg.connect(database_url, autocommit=True) as conn:
        problems, kept = _compared(replies, previous or [], _rows(conn, peers))
    problems += [problem for reply in replies if (problem := _wrong(reply))]
    with found.lock:
        found.sent += len(replies)
        found.kept += kept
        found.answers.update(status for reply in replies for status in reply.statuses)
        found.slowest = max(found.slowest, *(reply.seconds for reply in replies))
        found.problems += problems
    return replies


def _throw(served: Served, sent: Input, peers: dict[Peer, str]) -> Reply:
    began = time.monotonic()
    heard = b""
    with contextlib.suppress(OSError), served.connect(peers[sent.peer]) as talk:
        talk.settimeout(HANG_SECONDS)
        talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Refused in the middle: what was answered is still heard.
        with contextlib.suppress(ConnectionError):
            for piece in sent.pieces():
                talk.sendall(piece)
                time.sleep(0.001 * bool(sent.cuts))
            if sent.end == "half-close":
                talk.shutdown(socket.SHUT_WR)
        if sent.end == "reset":
            talk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while sent.end == "half-close" and (chunk := talk.recv(65_536)):
            heard += chunk
    ended = time.monotonic()
    return Reply(sent, [int(code) for code in _STATUS.findall(heard)], ended - began, ended)


def _wrong(reply: Reply) -> str | None:
    """What must hold of any answer."""
    sent, statuses = reply.sent, reply.statuses
    if any(status >= 500 and status != 503 for status in statuses):
        return f"input {sent.number}: answered {statuses}"
    if reply.seconds > HANG_SECONDS:
        return f"input {sent.number}: {reply.seconds:.1f} s"
    if (
        sent.peer == "stranger"
        and {200, 413}.intersection(statuses)
        and b"/callbacks" in sent.data
        and b"GET" not in sent.data
    ):
        return f"input {sent.number}: a stranger was answered {statuses}"
    if sent.whole and sent.peer == "jumio" and sent.end == "half-close" and statuses[-1:] != [200]:
        return f"input {sent.number}: an honest callback was answered {statuses}"
    if sent.whole is False and {200, 413}.intersection(statuses):
        return f"input {sent.number}: half a body was answered {statuses}"
    return None


def _rows(conn: Connection, peers: dict[Peer, str]) -> list[tuple[str, str, bytes]]:
    taken = conn.execute(
        "DELETE FROM pipeline.callbacks WHERE peer = ANY(%s::inet[]) RETURNING state, host(peer), id, sealed_body",
        [list(peers.values())],
    ).fetchall()
    return [(state, peer, RING.unseal(sealed, place=f"callbacks.body/{row}")) for state, peer, row, sealed in taken]


def _compared(replies: list[Reply], previous: list[Reply], rows: list[tuple[str, str, bytes]]) -> tuple[list[str], int]:
    """Each row is a whole body of its peer's inputs; as many are kept as were acknowledged, and of what we left."""
    problems = []
    numbers = f"inputs {replies[0].sent.number} to {replies[-1].sent.number}"
    peers = peers_of(replies[0].sent.number // BATCH % THREADS)
    sources = {
        address: [reply.sent for reply in (*previous, *replies) if reply.sent.peer == peer]
        for peer, address in peers.items()
    }
    for state, peer, body in rows:
        if not any(sent.whole is not False and is_whole(body, sent.data) for sent in sources[peer]):
            problems.append(f"{numbers}: kept {len(body)} bytes ({state}) that nobody sent whole")
        if peer == peers["stranger"] and state != "refused":
            problems.append(f"{numbers}: a stranger's row is {state}")
    kept = sum(state != "refused" for state, _, _ in rows)
    posted = [reply for reply in replies if b"POST" in reply.sent.data]
    acknowledged = sum(reply.statuses.count(200) + reply.statuses.count(413) for reply in posted)
    probes = sum(probe in reply.sent.data for reply in posted for probe in (b"/livez", b"/readyz"))
    left = sum(MOST_ON_ONE for reply in (*previous, *replies) if reply.sent.end != "half-close")
    if not acknowledged - probes <= kept <= acknowledged + left:
        problems.append(f"{numbers}: {acknowledged} acknowledged, {kept} kept")
    return problems, kept


def _hold_the_process(found: Fuzzed, served: Served, files: int) -> None:
    """It lives, it said nothing of a failure, it holds nothing open, and it takes a callback."""
    if served.process.poll() is not None:
        found.problems.append(f"the receiver ended with {served.process.returncode}")
        return
    events = {line["event"] for line in served.lines()}
    if crashes := events & {"callback.failed", "library.logged", "process.crashed"}:
        found.problems += [f"logged: {line}" for line in served.lines() if line["event"] in crashes][:3]
    if served.post(peer=peers_of(0)["jumio"]) != 200:
        found.problems.append("it takes no callback any more")
    deadline = time.monotonic() + HANG_SECONDS
    while (still := open_files(served)) > files + 8 and time.monotonic() < deadline:
        time.sleep(0.1)
    if still > files + 8:
        found.problems.append(f"{still} files are open, {files} were")
