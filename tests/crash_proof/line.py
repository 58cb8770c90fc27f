"""The line under test: real services, real processes, proxies between them, and what died is started anew."""

import contextlib
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import httpx2
import psycopg
import redis
from psycopg import Connection

from deploy import subscriptions
from deploy.demo.subscriber import Subscriber, running_subscriber
from deploy.embedded.leash import Leash
from deploy.embedded.ports import Service
from deploy.embedded.services import ServiceUrls, embedded_services
from deploy.migrate import migrate
from deploy.simulator.loop import LoopThread
from deploy.simulator.run import Simulator
from deploy.up import fixed_bind
from schemas.settings import Settings
from tests.crash_proof.clock import Clock
from tests.crash_proof.disk import small_disk
from tests.crash_proof.environment import environment
from tests.crash_proof.pids import children, descendants, signal_all
from tests.crash_proof.proxy import Proxy

RECEIVERS = ("receiver-1", "receiver-2")
# As systemd's RestartSec: soon, and not in a circle.
_RESTART_SECONDS = 0.5
_WATCH_SECONDS = 0.05
_START_SECONDS = 60.0


@dataclass
class Process:
    """One of ours, and when it may be started again."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    leash: Leash | None = None
    restart_at: float = 0.0
    restarts: int = -1

    def check(self) -> None:
        if self.leash is not None and self.leash.exit_code() is not None:
            self.leash, self.restart_at = None, time.monotonic() + _RESTART_SECONDS
        if self.leash is None and time.monotonic() >= self.restart_at:
            self.leash = Leash(self.command, environment=self.environment, output=self.log)
            self.restarts += 1


@dataclass
class Line:
    """What faults befall. Every process is reached by its name, every network by its proxy."""

    folder: Path
    logs: Path
    simulator: Simulator
    subscriber: Subscriber
    services: Mapping[str, Service]
    doors: Mapping[str, Proxy]
    back: Proxy
    broker: Proxy
    clock: Clock | None
    small_disk: Path | None
    database_url: str
    broker_url: str
    environment: Mapping[str, str]
    processes: dict[str, Process] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    _held: set[str] = field(default_factory=set)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def start(self) -> None:
        """Start all of ours; they need not be ready."""
        binds = [fixed_bind("127.0.0.1:0") for _ in RECEIVERS]
        self.urls = tuple(f"http://{bind}/callbacks/default" for bind in binds)
        for name, bind in zip(RECEIVERS, binds, strict=True):
            own = {"BIND": bind, "SPOOL_DIR": str(self.spool(name))}
            self._add(name, "receiver", {**self._environment("door", self.doors[name]), **own})
        for name in ("relay", "worker"):
            self._add(name, name, self._environment("back", self.back))
        self.check()

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            if process.leash is not None:
                process.leash.let_go()

    def check(self) -> None:
        """What systemd would do; to be called often."""
        for name, service in self.services.items():
            if name not in self._held:
                service.check()
        for name, process in self.processes.items():
            if name not in self._held:
                process.check()
        due = [each for each in self._later if each[0] <= time.monotonic()]
        for each in due:
            self._later.remove(each)
            each[1]()

    def receives(self) -> bool:
        """Whether both receivers take connections."""
        for url in self.urls:
            parts = urlsplit(url)
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((parts.hostname or "", parts.port or 0)):
                    return False
        return True

    def watch(self, seconds: float) -> None:
        """Let it run on for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            time.sleep(_WATCH_SECONDS)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Meanwhile what died stays dead."""
        self._held.add(name)
        try:
            yield
        finally:
            self._held.discard(name)

    def later(self, seconds: float, undo: Callable[[], None]) -> None:
        """For what outlasts its round."""
        self._later.append((time.monotonic() + seconds, undo))

    def heal(self) -> None:
        """Undo at once what was left for later."""
        for _, undo in self._later:
            undo()
        self._later.clear()

    def pids(self, name: str) -> list[int]:
        """Of a process or a service that runs, or of a worker's children."""
        parent, _, of_children = name.partition("'s ")
        if parent in self.services:
            pid = self.services[parent].pid
            return [pid, *descendants(pid)]
        leash = self.processes[parent].leash
        if leash is None:
            return []
        return children(leash.pid) if of_children else [leash.pid]

    def kill(self, name: str) -> None:
        signal_all(self.pids(name), signal.SIGKILL)

    @property
    def cuts(self) -> int:
        """How often a proxy has cut at chosen bytes."""
        return sum(proxy.cuts for proxy in (*self.doors.values(), self.back, self.broker))

    def spool(self, receiver: str) -> Path:
        return spool_of(self.folder, receiver)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """To Postgres itself, past the proxies and whatever was switched off."""
        options = "-c default_transaction_read_only=off"
        with psycopg.connect(self.database_url, autocommit=True, options=options, connect_timeout=5) as conn:
            yield conn

    @contextmanager
    def valkey(self) -> Iterator["redis.Redis"]:
        with redis.Redis.from_url(self.broker_url, socket_timeout=5) as client:
            yield client

    def _environment(self, side: str, database: Proxy) -> dict[str, str]:
        """By way of the proxies; encryption would hide the bytes at which they cut."""
        postgres, valkey = self.services["postgres"].port, self.services["valkey"].port
        url = self.database_url.replace(f":{postgres}/", f":{database.port}/")
        return {
            **self.environment,
            **(self.clock.environment(side) if self.clock else {}),
            "DATABASE_URL": f"{url}?sslmode=disable&gssencmode=disable",
            "BROKER_URL": self.broker_url.replace(f":{valkey}/", f":{self.broker.port}/"),
        }

    def _add(self, name: str, role: str, environment: Mapping[str, str]) -> None:
        command = (sys.executable, "-m", "deploy", role)
        self.processes[name] = Process(name, command, environment, self.logs / f"{name}.log")


@contextmanager
def running_line(*, seed: int, logs: Path, worker_processes: int) -> Iterator[Line]:
    """Everything, ready to take callbacks; nothing of it is left afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="jumio-crash-proof-")))
        # As root, Postgres runs as someone else, who has to get through.
        folder.chmod(0o711)
        simulator = stack.enter_context(Simulator(seed=f"crash/{seed}"))
        subscriber = stack.enter_context(running_subscriber())
        services = stack.enter_context(embedded_services(folder))
        line = _line(
            stack,
            services,
            folder=folder,
            logs=logs,
            simulator=simulator,
            subscriber=subscriber,
            worker_processes=worker_processes,
        )
        with line.connected() as conn:
            migrate(conn)
            settings = Settings.load("subscriptions", {**line.environment, "DATABASE_URL": line.database_url})
            private = settings.subscriber_private_cidrs
            subscriber.secret = subscriptions.add(conn, subscriber.url, keys=settings.keys, private=private).secret
        stack.callback(line.stop)
        line.start()
        _wait_until_ready(line)
        yield line


def _line(
    stack: ExitStack,
    urls: ServiceUrls,
    *,
    folder: Path,
    logs: Path,
    simulator: Simulator,
    subscriber: Subscriber,
    worker_processes: int,
) -> Line:
    services = {service.name: service for service in urls.services}
    loop = LoopThread("proxies")
    loop.start()
    stack.callback(loop.stop)
    return Line(
        folder=folder,
        logs=logs,
        simulator=simulator,
        subscriber=subscriber,
        services=services,
        doors={name: _proxy(stack, loop, services["postgres"]) for name in RECEIVERS},
        back=_proxy(stack, loop, services["postgres"]),
        broker=_proxy(stack, loop, services["valkey"]),
        clock=Clock.where_possible(folder),
        small_disk=stack.enter_context(small_disk(spool_of(folder, RECEIVERS[0]))),
        database_url=urls.database_url,
        broker_url=urls.broker_url,
        environment=environment(simulator, worker_processes=worker_processes),
    )


def _proxy(stack: ExitStack, loop: LoopThread, service: Service) -> Proxy:
    made = Proxy(loop, service.port)
    made.start()
    stack.callback(made.stop)
    return made


def spool_of(folder: Path, receiver: str) -> Path:
    path = folder / f"spool-{receiver}"
    path.mkdir(exist_ok=True)
    return path


def _wait_until_ready(line: Line) -> None:
    """Until both receivers keep callbacks and work is consumed."""
    deadline = time.monotonic() + _START_SECONDS
    with httpx2.Client(trust_env=False, timeout=5) as client:
        while not all(_is_ready(client, url) for url in line.urls):
            assert time.monotonic() < deadline, f"not ready; the logs are in {line.logs}"
            line.watch(0.2)


def _is_ready(client: httpx2.Client, url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        return client.get(url.replace("/callbacks/default", "/readyz")).status_code == 200
    return False
