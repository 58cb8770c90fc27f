"""The receiver as a real process, and what a test says to it over real sockets."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.sealing import KeyRing
from tests.waiting import until

KEYS = KeyRing.generate()
JUMIO, JUMIO_TOO, STRANGER = "127.0.0.11", "127.0.0.12", "127.0.0.66"
LONG = os.environ.get("DOOR_PROOF") == "long"  # noqa: TID251 - how thorough, not how the product is set
_PROGRAM = (
    "import sys; from pathlib import Path; from receiver.server import run; from schemas.settings import Settings; "
    "run(Settings.load('receiver'), ready_file=Path(sys.argv[1]))"
)


@dataclass
class Served:
    """A receiver that listens."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    metrics_port: int
    log: Path

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        peer: str = JUMIO,
        port: int | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, port or self.port, timeout=20, source_address=(peer, 0))
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def post(self, body: bytes = b"{}", path: str = "/callbacks/default", peer: str = JUMIO, **headers: str) -> int:
        return self.request("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()}, peer=peer)[0]

    def connect(self, peer: str = JUMIO) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=20, source_address=(peer, 0))

    def say(self, data: bytes, peer: str = JUMIO, *, half_close: bool = False) -> bytes:
        """Send bytes as they are, and read until the other side closes."""
        with self.connect(peer) as talk:
            talk.sendall(data)
            if half_close:
                talk.shutdown(socket.SHUT_WR)
            return read_all(talk)

    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.request("GET", "/readyz")[2])
        return found

    def until_ready(self, *parts: str) -> None:
        until(lambda: all(self.ready()["parts"][part]["ok"] for part in parts))

    def metrics(self) -> str:
        return self.request("GET", "/metrics", port=self.metrics_port)[2].decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def serve(environment: Mapping[str, str], folder: Path) -> Iterator[Served]:
    """Start one, and see it end well."""
    ready_file, log = folder / "ready", folder / "log"
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}  # noqa: TID251
    with log.open("ab") as errors:
        command = [sys.executable, "-W", "error", "-c", _PROGRAM, str(ready_file)]
        process = subprocess.Popen(
            command, env=clean | dict(environment), cwd=Path(__file__).parents[2], stderr=errors, stdout=errors
        )
    try:
        until(lambda: ready_file.exists() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        door, desk = ready_file.read_text().split()
        ready_file.unlink()
        yield Served(process, "127.0.0.1", int(door.rpartition(":")[2]), int(desk.rpartition(":")[2]), log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def read_all(talk: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := talk.recv(65536):
            received += chunk
    return received
