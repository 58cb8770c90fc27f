"""Who is slow, silent, many or loud does not keep Jumio out; who says it is Jumio by PROXY or TLS is not believed."""

import asyncio
import contextlib
import os
import re
import resource
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.receiver.catalogue.case import HEAD, post
from tests.receiver.catalogue.conftest import Front
from tests.receiver.catalogue.proxies import BALANCER, PROXIES, client_context, free_port
from tests.receiver.catalogue.talk import talk
from tests.receiver.serving import JUMIO, LONG, STRANGER, read_all
from tests.waiting import until

# The long form, as make door-proof says it.
CONTEXT = client_context()


@contextlib.contextmanager
def idle(front: Front, count: int, *, peers: list[str], data: bytes = b"") -> Iterator[None]:
    """So many connections that have begun something and say nothing more."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            peer = peers[number % len(peers)]
            held = socket.create_connection(("127.0.0.1", front.port), timeout=20, source_address=(peer, 0))
            stack.enter_context(held)
            with contextlib.suppress(OSError):
                held.sendall(data)
        yield


def seconds_of_a_callback(front: Front, peer: str = JUMIO) -> float:
    began = time.monotonic()
    heard = talk(front.port, post(), peer=peer, tls=front.way != "direct")
    assert heard.statuses == [200]
    return time.monotonic() - began


@pytest.mark.parametrize(
    "peers",
    [[STRANGER], [f"127.0.3.{number}" for number in range(1, 101)]],
    ids=["one stranger", "a hundred strangers"],
)
def test_a_thousand_idle_connections_cost_a_callback_less_than_a_second(front: Front, peers: list[str]) -> None:
    with idle(front, 1000, peers=peers, data=HEAD if front.way == "direct" else b"\x16\x03\x01"):
        assert max(seconds_of_a_callback(front) for _ in range(3)) < 1


def test_connections_that_are_reset_at_once_leave_nothing_behind(front: Front) -> None:
    def files() -> int:
        return len(list(Path(f"/proc/{front.served.process.pid}/fd").iterdir()))

    before, count = files(), 10_000 if LONG else 1000
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", front.port), timeout=20, source_address=(STRANGER, 0)) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    until(lambda: files() <= before + 8)
    assert seconds_of_a_callback(front) < 1


def test_the_same_callback_many_times_at_once_is_kept_each_time(front: Front) -> None:
    front.rows()
    count = 1000 if LONG else 200

    with ThreadPoolExecutor(50) as crowd:
        heard = list(
            crowd.map(lambda _: talk(front.port, post(b"same"), peer=JUMIO, tls=front.way != "direct"), range(count))
        )

    assert [each.statuses for each in heard] == [[200]] * count
    assert front.rows() == [b"same"] * count


def test_a_flood_of_strangers_costs_little_and_is_hardly_logged(front: Front) -> None:
    """Two thousand a second is more than this machine's clients can send; they send what they can."""
    front.rows()
    seconds, lines = 60.0 if LONG else 2.0, len(front.served.lines())

    with flooded(front) as sent:
        ends_at, took = time.monotonic() + seconds, []
        while time.monotonic() < ends_at:
            took.append(seconds_of_a_callback(front))
            time.sleep(0.05)

    assert sum(sent) > 10 * seconds
    assert sorted(took)[int(len(took) * 0.99) - 1] < 1
    # A burst of 200 is told and kept, then five a second.
    told = [line["event"] for line in front.served.lines()[lines:]].count("callback.refused")
    assert 0 < told < 210 + 10 * seconds
    kept = front.conn.execute(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM pipeline.callbacks WHERE state = 'refused'"
    )
    [[rows, size]] = kept.fetchall()
    assert rows < 210 + 10 * seconds
    assert size < 1_048_576


@contextlib.contextmanager
def flooded(front: Front) -> Iterator[list[int]]:
    """Eight strangers who send as fast as they can; how many each has sent."""
    over, sent = threading.Event(), [0] * 8

    def flood(number: int) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(
                ("127.0.0.1", front.port), timeout=5, source_address=(STRANGER, 0)
            ) as plain, CONTEXT.wrap_socket(plain) if front.way != "direct" else plain as stranger:  # fmt: skip
                stranger.sendall(post(b"x" * 200))
                stranger.recv(4096)
                sent[number] += 1

    with ThreadPoolExecutor(len(sent)) as crowd:
        floods = [crowd.submit(flood, number) for number in range(len(sent))]
        try:
            yield sent
        finally:
            over.set()
        for each in floods:
            each.result()


BEGINNINGS = {
    "silent": b"",
    "head": HEAD,
    "dripping head": HEAD + b"X: ",
    "body": HEAD + b"Content-Length: 100000\r\n\r\nhello",
    "dripping body": HEAD + b"Content-Length: 100000\r\n\r\nhello",
    "idle": b"GET /readyz/door HTTP/1.1\r\nHost: a\r\n\r\n",
}


def drip(held: socket.socket, *, ends_at: float) -> None:
    """A byte every other second, until the other side ends it."""
    while time.monotonic() < ends_at:
        held.sendall(b"X")
        held.settimeout(2)
        with contextlib.suppress(TimeoutError):
            if not held.recv(4096):
                return


def test_silence_and_slowness_are_ended_in_time(front: Front) -> None:
    """Directly the receiver ends them, behind a proxy the proxy must; an idle connection has 30 s, the rest has 10."""
    if front.way == "direct" and not LONG:
        pytest.skip("as tests/receiver/test_server.py has it")
    began = time.monotonic()

    def lasts(kind: str) -> float:
        with socket.create_connection(("127.0.0.1", front.port), timeout=45, source_address=(STRANGER, 0)) as plain:
            secure = kind != "silent" and front.way != "direct"
            with CONTEXT.wrap_socket(plain) if secure else plain as held, contextlib.suppress(OSError):
                held.sendall(BEGINNINGS[kind])
                if kind == "idle":
                    held.recv(4096)
                if kind.startswith("dripping"):
                    drip(held, ends_at=began + 40)
                held.settimeout(45)
                read_all(held)
        return time.monotonic() - began

    kinds = ["silent", "head", "dripping head", "body", *(["idle"] if LONG else [])]
    if LONG and front.way != "nginx":
        # nginx has no deadline for a whole body; what it holds never gets to a receiver.
        kinds.append("dripping body")
    with ThreadPoolExecutor(len(kinds)) as crowd:
        took = dict(zip(kinds, crowd.map(lasts, kinds), strict=True))

    print(front.way, took)  # noqa: T201 - shown with -s
    limits = {"body": 16.5, "idle": 32, "dripping body": 32}
    assert {kind: seconds for kind, seconds in took.items() if seconds > limits.get(kind, 12)} == {}


@pytest.mark.skipif(not LONG, reason="takes half a minute: make door-proof")
def test_who_never_reads_its_answers_is_ended(front: Front) -> None:
    if front.way != "direct":
        pytest.skip("a proxy reads them")

    def cut() -> bool:
        return bool(re.search(r'cut_connections_total\{reason="(unread|head_seconds)"\} [1-9]', front.served.metrics()))

    # The metrics, as its longest answer, fill the buffers of both systems soonest; and to look between keeps it from
    # getting ahead of what is answered.
    desk = ("127.0.0.1", front.served.metrics_port)
    with socket.create_connection(desk, timeout=60) as deaf, contextlib.suppress(ConnectionError):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ends_at = time.monotonic() + 400
        while time.monotonic() < ends_at and not cut():
            deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    until(cut)


def test_old_tls_is_refused_and_names_do_not_matter(front: Front) -> None:
    if front.way == "direct":
        pytest.skip("TLS is a proxy's")

    def speaks(version: ssl.TLSVersion, name: str | None) -> bool:
        context = client_context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", front.port), timeout=20, source_address=(JUMIO, 0)) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=name) as secure:
                    secure.sendall(post(b"{}", b"Connection: close"))
                    return read_all(secure).startswith(b"HTTP/1.1 200")
            except (ssl.SSLError, ConnectionError):
                return False

    name = "callbacks.example.com"
    assert [speaks(version, name) for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)] == [False, False]
    assert [speaks(version, name) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)] == [True, True]
    assert [speaks(ssl.TLSVersion.TLSv1_2, other) for other in (None, "evil.example")] == [True, True]


def test_a_proxy_line_is_believed_from_the_balancer_alone(front: Front, tmp_path: Path) -> None:
    if front.way == "direct":
        pytest.skip("the receiver knows no PROXY protocol")

    def post_as(claimed: str | None, *, by: str) -> list[str]:
        with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(by, 0)) as plain:
            try:
                if claimed:
                    plain.sendall(f"PROXY TCP4 {claimed} 127.0.0.1 40000 {port}\r\n".encode())
                with CONTEXT.wrap_socket(plain) as secure:
                    secure.sendall(post(b"{}", b"Connection: close"))
                    return [code.decode() for code in re.findall(rb"HTTP/1\.[01] (\d+)", read_all(secure))]
            except (ssl.SSLError, ConnectionError):
                return []

    with PROXIES[front.way](tmp_path, front.served.port, behind_a_balancer=True) as port:
        assert post_as(JUMIO, by=BALANCER) == ["200"]
        assert post_as(STRANGER, by=BALANCER) == ["403"]
        assert post_as(None, by=BALANCER) == []
        # nginx reads the line of anyone, and believes the socket; haproxy takes it for broken TLS.
        assert post_as(JUMIO, by=STRANGER) == (["403"] if front.way == "nginx" else [])


def test_without_a_receiver_it_is_said_that_nothing_is_kept(front: Front, tmp_path: Path) -> None:
    if front.way == "direct":
        pytest.skip("it is the proxies' answer")

    with PROXIES[front.way](tmp_path, free_port()) as port:
        for _ in range(2):  # before the proxy knows that there is none, and after
            heard = talk(port, post(b"{}", b"Connection: close"), peer=JUMIO, tls=True)
            assert heard.statuses == [503]
            assert re.search(rb"\r\nretry-after: [0-9]+\r\n", heard.data.lower())


@pytest.mark.skipif(not LONG, reason="sends 140 MB: make door-proof")
def test_one_caller_makes_nginx_hold_so_much_and_no_more(front: Front, tmp_path: Path) -> None:
    """Bodies of 4 MiB that stop before their end: the proxy holds what it may, the rest are told to come again."""
    if front.way != "nginx":
        pytest.skip("haproxy holds 128 KiB of a request, the receiver no body of a stranger")
    most, size = 32, 4_000_000
    head = HEAD + b"Content-Length: 4194304\r\n\r\n"

    with PROXIES["nginx"](tmp_path, front.served.port) as port, contextlib.ExitStack() as stack:
        held = []
        for _ in range(most + 4):
            plain = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(STRANGER, 0))
            held.append(stack.enter_context(CONTEXT.wrap_socket(plain)))
            with contextlib.suppress(OSError):
                held[-1].sendall(head + bytes(size))
        refused = [heard for heard in map(heard_so_far, held) if heard]

        assert len(refused) == 4
        assert all(heard.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 5" in heard for heard in refused)
        assert talk(port, post(b"{}"), peer=STRANGER, tls=True).statuses == [403]
        assert talk(port, post(b"{}"), peer=JUMIO, tls=True).statuses == [200]
        held_bytes = resident_bytes(int((tmp_path / "nginx.pid").read_text()))

    print(f"nginx holds {held_bytes >> 20} MiB")  # noqa: T201 - shown with -s
    assert held_bytes < most * 4 * 1_048_576 + 64 * 1_048_576


def heard_so_far(talk: ssl.SSLSocket) -> bytes:
    talk.settimeout(0.05)
    try:
        return talk.recv(4096)
    except TimeoutError:
        return b""


def resident_bytes(parent: int) -> int:
    """Of a process' children together."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    pages = [int(Path(f"/proc/{child}/statm").read_text(encoding="ascii").split()[1]) for child in children]
    return sum(pages) * resource.getpagesize()


@pytest.mark.skipif(not LONG, reason="three thousand connections: make door-proof")
def test_a_full_queue_of_connections_loses_nothing_that_was_acknowledged(front: Front) -> None:
    """While the receiver stands still the kernel takes connections until its queue is full, and then none."""
    if front.way != "direct":
        pytest.skip("a proxy has a queue of its own")
    front.rows()
    bodies, receiver = [b"%d" % number for number in range(3000)], front.served.process.pid

    async def is_acknowledged(body: bytes) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port, local_addr=(JUMIO, 0))
            with contextlib.closing(writer):
                writer.write(post(body, b"Connection: close"))
                return (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 200")
        except (OSError, TimeoutError):
            return False

    async def ask_all() -> list[bool]:
        asking = [asyncio.create_task(is_acknowledged(body)) for body in bodies]
        await asyncio.sleep(3)
        os.kill(receiver, signal.SIGCONT)
        return await asyncio.gather(*asking)

    os.kill(receiver, signal.SIGSTOP)
    try:
        answers = asyncio.run(ask_all())
    finally:
        os.kill(receiver, signal.SIGCONT)

    acknowledged = {body for body, is_kept in zip(bodies, answers, strict=True) if is_kept}
    assert len(acknowledged) > 1000
    assert acknowledged - set(front.rows()) == set()


@pytest.mark.skipif(not LONG, reason="asks openssl: make door-proof")
def test_nobody_renegotiates(front: Front) -> None:
    if front.way == "direct":
        pytest.skip("TLS is a proxy's")
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{front.port}"]

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        said, _ = client.communicate(b"R\n", timeout=30)

    assert b"RENEGOTIATING" in said
    assert b"no renegotiation" in said
    assert seconds_of_a_callback(front) < 1
