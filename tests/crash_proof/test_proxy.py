"""The proxy between a real client and a real server: what it lets through, and where it cuts."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.simulator.loop import LoopThread
from tests.crash_proof.proxy import Cut, Proxy
from tests.waiting import until


class Echo:
    """Answers what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                talk, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(talk,), daemon=True).start()

    def _converse(self, talk: socket.socket) -> None:
        with talk:
            try:
                while data := talk.recv(4096):
                    self.heard += data
                    talk.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    loop = LoopThread("test proxy")
    loop.start()
    made = Proxy(loop, echo.port)
    made.start()
    yield made
    made.stop()
    loop.stop()


def test_bytes_go_both_ways(proxy: Proxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"x" * 200_000)

        assert read(client, 200_000) == b"x" * 200_000


def test_cut_before_keeps_the_bytes_from_the_server(proxy: Proxy, echo: Echo) -> None:
    proxy.cut(Cut(b"COMMIT", "up", "before"))
    with connected(proxy) as client:
        client.sendall(b"one")
        assert read(client, 3) == b"one"

        client.sendall(b"COMMIT")

        assert is_reset(client)
    assert bytes(echo.heard) == b"one"
    assert proxy.cuts == 1


def test_cut_after_lets_the_server_have_them_and_the_client_no_answer(proxy: Proxy, echo: Echo) -> None:
    proxy.cut(Cut(b"COMMIT", "up", "after"))
    with connected(proxy) as client:
        client.sendall(b"COMMIT")

        assert is_reset(client)
    until(lambda: bytes(echo.heard) == b"COMMIT")


def test_cut_on_the_way_down_lets_the_server_have_them_too(proxy: Proxy, echo: Echo) -> None:
    proxy.cut(Cut(b"MIT", "down", "before"))
    with connected(proxy) as client:
        client.sendall(b"COMMIT")

        assert is_reset(client)
    assert bytes(echo.heard) == b"COMMIT"


def test_bytes_are_recognised_across_two_packets(proxy: Proxy) -> None:
    proxy.cut(Cut(b"COMMIT", "up", "before"))
    with connected(proxy) as client:
        client.sendall(b"COM")
        assert read(client, 3) == b"COM"
        client.sendall(b"MIT")

        assert is_reset(client)


def test_a_cut_comes_once_and_acts_at_that_instant(proxy: Proxy) -> None:
    acted: list[int] = []
    proxy.cut(Cut(b"COMMIT", "up", "before", lambda: acted.append(1)))
    answers = []
    for _ in range(2):
        with connected(proxy) as client:
            client.sendall(b"COMMIT")
            answers.append(answer(client))

    assert acted == [1]
    assert answers == [b"", b"COMMIT"]


def test_silence_holds_everything_back_until_it_ends(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        client.sendall(b"one")
        assert read(client, 3) == b"one"
        proxy.silence()
        client.sendall(b"two")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(3)
        assert bytes(echo.heard) == b"one"

        proxy.speak()

        client.settimeout(5)
        assert read(client, 3) == b"two"


def test_reset_and_refusal_end_connections_old_and_new(proxy: Proxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"one")
        assert read(client, 3) == b"one"
        proxy.refusing = True
        proxy.reset_all()
        assert is_reset(client)
    # Where it is quick, the reset comes before connecting has returned.
    with contextlib.suppress(ConnectionResetError), connected(proxy) as client:
        assert is_reset(client)

    proxy.refusing = False

    with connected(proxy) as client:
        client.sendall(b"two")
        assert read(client, 3) == b"two"


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        yield client


def read(client: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (chunk := client.recv(count - len(found))):
        found += chunk
    return found


def is_reset(client: socket.socket) -> bool:
    """Whether the connection ends without a byte."""
    return answer(client) == b""


def answer(client: socket.socket) -> bytes:
    """What comes, nothing where it is cut."""
    try:
        return client.recv(64)
    except ConnectionResetError:
        return b""
