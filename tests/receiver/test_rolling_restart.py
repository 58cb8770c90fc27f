"""Two receivers behind the proxies that deploy/ has files for, restarted in their turn while callbacks come in."""

import contextlib
import http.client
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.receiver.catalogue.proxies import PROXIES, client_context, free_port, is_installed
from tests.receiver.serving import JUMIO, LONG, Served, serve

# A new process is seen by the proxy's next look at it.
SETTLE_SECONDS = 1.5


class Callbacks(threading.Thread):
    """One caller, as Jumio's: a new connection for each callback. `answers` has what it heard."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port, self.answers, self.over = port, [], threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.answers.append(self.call())
            time.sleep(0.01)

    def call(self) -> int | str:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, source_address=(JUMIO, 0), context=client_context()
        )
        with contextlib.closing(connection):
            try:
                connection.request("POST", "/callbacks/default", b"{}")
                return connection.getresponse().status
            except OSError as error:
                return type(error).__name__


@contextlib.contextmanager
def receiver(environment: dict[str, str], folder: Path, port: int) -> Iterator[Served]:
    folder.mkdir(exist_ok=True)
    with serve(environment | {"BIND": f"127.0.0.1:{port}", "TRUSTED_PROXIES": "127.0.0.1/32"}, folder) as served:
        served.until_ready("durable_write", "allowlist")
        yield served


@pytest.mark.skipif(not LONG, reason="takes twenty seconds: make door-proof")
@pytest.mark.parametrize("way", ["nginx", "haproxy"])
def test_two_receivers_are_restarted_in_turn_without_a_failed_request(
    environment: dict[str, str], database: str, tmp_path: Path, way: str
) -> None:
    if not is_installed(way):
        pytest.skip(f"{way} is not installed; make door-proof says how")
    ports = [free_port(), free_port()]
    with contextlib.ExitStack() as all_of_it:
        running = [all_of_it.enter_context(receiver(environment, tmp_path / str(port), port)) for port in ports]
        callbacks = Callbacks(all_of_it.enter_context(PROXIES[way](tmp_path, *ports)))
        callbacks.start()
        try:
            for old, port in zip(running, ports, strict=True):
                time.sleep(SETTLE_SECONDS)
                old.process.send_signal(signal.SIGTERM)
                assert old.process.wait(20) == 0
                all_of_it.enter_context(receiver(environment, tmp_path / f"{port}-anew", port))
            time.sleep(SETTLE_SECONDS)
        finally:
            callbacks.over.set()
            callbacks.join()

    assert set(callbacks.answers) == {200}
    assert len(callbacks.answers) > 40
    with psycopg.connect(database) as conn:
        [(kept,)] = conn.execute("SELECT count(*) FROM pipeline.callbacks").fetchall()
    assert kept >= len(callbacks.answers)
