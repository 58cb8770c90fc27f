"""One connection to the door, raw: what is sent, what is answered, and how it ends."""

import contextlib
import re
import socket
import ssl
import time
from dataclasses import dataclass

from tests.receiver.catalogue.proxies import client_context

# Longer than any deadline of the receiver's: what is open then hangs.
HANG_SECONDS = 20.0
# Answers come within milliseconds; who waits longer for one more shuts its side.
QUIET_SECONDS = 1.5
_CONTEXT = client_context()
_HEAD = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\r\n]*((?:\r\n[^\r\n]+)*)\r\n\r\n")


@dataclass(frozen=True)
class Heard:
    """Everything that came back."""

    data: bytes
    hung: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status, _ in _HEAD.findall(self.data)]

    @property
    def closes(self) -> bool:
        """Whether the last answer says that the connection ends."""
        heads = _HEAD.findall(self.data)
        return not heads or b"connection: close" in heads[-1][1].lower()


def talk(port: int, data: bytes, *, peer: str, tls: bool, answers: int = 1, half_close: bool = False) -> Heard:
    """Send it all, hear so many answers, shut this side, and hear the rest."""
    began = time.monotonic()
    try:
        talk = _connected(port, peer, tls=tls)
    except ConnectionError:
        return Heard(b"", hung=False)
    with talk:
        heard = bytearray()
        # What is refused early may be answered, and closed, before all of it was sent.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            talk.sendall(data)
        if half_close or not _listen(talk, heard, until=answers, deadline=time.monotonic() + QUIET_SECONDS):
            _shut(talk)
        closed = _listen(talk, heard, until=0, deadline=began + HANG_SECONDS)
    return Heard(bytes(heard), hung=not closed)


def _connected(port: int, peer: str, *, tls: bool) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS, source_address=(peer, 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _CONTEXT.wrap_socket(plain, server_hostname="callbacks.example.com") if tls else plain


def _listen(talk: socket.socket, heard: bytearray, *, until: int, deadline: float) -> bool:
    """Whether the other side closed; ends sooner once there are so many final answers."""
    while not until or sum(int(status) >= 200 for status, _ in _HEAD.findall(heard)) < until:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        talk.settimeout(left)
        try:
            chunk = talk.recv(65_536)
        except TimeoutError:
            return False
        except OSError:
            return True
        if not chunk:
            return True
        heard += chunk
    return False


def _shut(talk: socket.socket) -> None:
    """The TCP connection's sending side, also below TLS, which Python would otherwise forget along with it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(talk, socket.SHUT_WR)
