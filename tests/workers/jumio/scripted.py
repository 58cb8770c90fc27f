"""A server on a real socket that answers exactly the bytes a test gives it, and a tenant whose hosts it is."""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from pydantic import SecretStr

from schemas.settings import Tenant

# Bytes to send, seconds to wait before the next ones.
Script = Iterable[bytes | float]


@dataclass(frozen=True)
class Asked:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


@dataclass
class Server:
    """A server on a real socket; `answer` is the script for each request."""

    answer: Callable[[Asked], Script]
    asked: list[Asked] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def of(self, start: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.startswith(start)]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                asked = _read(connection)
                self.asked.append(asked)
                for piece in self.answer(asked):
                    if isinstance(piece, float):
                        time.sleep(piece)
                    else:
                        connection.sendall(piece)
            except (OSError, EOFError):
                return


def _read(connection: socket.socket) -> Asked:
    with connection.makefile("rb") as stream:
        head = []
        while line := stream.readline().decode("latin-1").rstrip("\r\n"):
            head.append(line)
        if not head:
            raise EOFError
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
        return Asked(head[0], headers, stream.read(int(headers.get("content-length", 0))))


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer, as a well-behaved server sends it."""
    lines = {"content-length": str(len(body)), "connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


def tenant_at(url: str, **changes: str) -> Tenant:
    """A tenant whose every host is the test's own server."""
    hosts = ("auth", "account", "api", "retrieval", "status", "legacy", "legacy_documents")
    urls = {f"{name}_url": url for name in hosts}
    return Tenant(client_id="client", client_secret=SecretStr("secret"), user_agent="Acme Kyc/1.0", **(urls | changes))
