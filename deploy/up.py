"""Everything in one command, for development: services where no URL is set, then worker, relay, feed and receiver."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx2
import psycopg
import structlog
from dotenv import dotenv_values

from deploy.bundle.signature import new_signing_key
from deploy.commands.worker import celery_arguments
from deploy.embedded.ports import free_port
from deploy.embedded.services import ServiceUrls, embedded_services, write_services_env
from deploy.migrate import migrate
from deploy.processes import Processes
from deploy.simulator.mix import Family
from deploy.simulator.run import Simulator
from schemas.sealing import KeyRing
from schemas.settings import Settings, SettingsError, inherited_environment

log = structlog.get_logger()

# A cold start of three interpreters on a slow machine.
_START_SECONDS = 60.0
# How long to wait for a first DNS answer: without one callbacks are kept too, but judged later.
_DNS_SECONDS = 15.0
_WATCH_SECONDS = 0.5
_OPERATORS = ("SOURCE_ALLOW_PRIVATE", "SOURCE_CHECK", "SOURCE_EXTRA", "SOURCE_HOSTS", "SUBSCRIBER_PRIVATE_CIDRS")
# How long finished work may take to end in order.
_GRACE_SECONDS = 30.0
# `up --with-simulator` shows a workflow every two seconds: alive, and readable.
_SIMULATOR_RATE = 0.5
_SIMULATED: tuple[Family, ...] = ("kyx", "kyx", "kyx", "netverify", "kyx", "authentication", "kyx", "document")


class StartError(Exception):
    """The line did not start; the text says which part and where its log is."""


@dataclass(frozen=True)
class Line:
    """What is up: where callbacks go, the environment of the processes, and the processes."""

    url: str
    environment: Mapping[str, str]
    services: ServiceUrls
    processes: Processes


def run_up(data: Path | None, *, with_simulator: bool) -> None:
    """Start, say `ready http://HOST:PORT` on stdout, and stay until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment = development_environment()
    try:
        with ExitStack() as stack:
            simulator = stack.enter_context(_simulator(environment)) if with_simulator else None
            if simulator:
                environment |= simulator.environment()
                environment.pop("JUMIO_TENANTS_FILE", None)
            line = stack.enter_context(running_line(data or default_folder(), environment))
            if simulator:
                stack.enter_context(_playing(simulator, f"{line.url}/callbacks/default"))
            sys.stdout.write(f"ready {line.url}\n")
            sys.stdout.flush()
            while True:
                time.sleep(_WATCH_SECONDS)
                line.services.check()
                line.processes.check()
    except KeyboardInterrupt:
        log.info("up.stopped")


def _simulator(environment: Mapping[str, str]) -> Simulator:
    """Invented workflows are not for a database that anyone believes."""
    if environment.get("ENV", "").lower() == "production":
        raise SettingsError("a simulated Jumio is not for ENV=production")
    return Simulator(seed=str(time.time_ns()))


@contextmanager
def _playing(simulator: Simulator, callback_url: str) -> Iterator[None]:
    """Workflows keep coming, beside whatever else is to be watched."""
    ended = threading.Event()

    def play() -> None:
        for family in cycle(_SIMULATED):
            simulator.play(callback_url, 1, rate=None, families=(family,))
            if ended.wait(1 / _SIMULATOR_RATE):
                return

    thread = threading.Thread(target=play, name="simulated callbacks")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def running_line(folder: Path, environment: Mapping[str, str], *, logs: Path | None = None) -> Iterator[Line]:
    """The whole line in `folder`, stopped in order. Raises SettingsError, EmbeddedRefusedError, StartError."""
    folder.mkdir(parents=True, exist_ok=True)
    with embedded_services(
        folder,
        environment=environment.get("ENV", "development"),
        database=not _given(environment, "DATABASE_URL"),
        broker=not _given(environment, "BROKER_URL"),
    ) as services:
        complete = _complete(environment, services, folder)
        settings = Settings.load("worker", complete)
        binds = {name: complete[name] for name in ("FEED_BIND", "FEED_METRICS_BIND")}
        more = {**_operators_settings(environment, folder), **binds}
        write_services_env(folder, _urls(settings, services), more=more)
        with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as conn:
            migrate(conn)
        with Processes(complete) as processes:
            yield _start(processes, settings, services, complete, folder=folder, logs=logs)
            processes.stop(_GRACE_SECONDS)


def development_environment() -> dict[str, str]:
    """What is set, and below it what a file called .env here says; production reads no such file."""
    written = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return {**written, **inherited_environment()}


def default_folder() -> Path:
    """Below the data of the user; for root, whose home is closed to the user that Postgres runs as, below /var/lib."""
    home = Path.home()
    return Path("/var/lib/jumio-pipeline") if home == Path("/root") else home / ".local/share/jumio-pipeline"


def _start(
    processes: Processes,
    settings: Settings,
    services: ServiceUrls,
    environment: Mapping[str, str],
    *,
    folder: Path,
    logs: Path | None,
) -> Line:
    ready_file = folder / "receiver.ready"
    ready_file.unlink(missing_ok=True)
    own = (sys.executable, "-m", "deploy")
    log_of = {name: logs / f"{name}.log" if logs else None for name in ("receiver", "feed", "relay", "worker")}
    processes.start("worker", *celery_arguments(settings), output=log_of["worker"])
    processes.start("relay", *own, "relay", output=log_of["relay"])
    processes.start("feed", *own, "feed", output=log_of["feed"])
    processes.start("receiver", *own, "receiver", "--ready-file", str(ready_file), output=log_of["receiver"])
    address = _wait_until_listening(ready_file, processes)
    line = Line(f"http://{address}", environment, services, processes)
    _wait_until_ready(line)
    return line


def _wait_until_listening(ready_file: Path, processes: Processes) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if ready_file.exists():
            address, _metrics = ready_file.read_text(encoding="utf-8").split()
            return address
        processes.check()
        time.sleep(0.05)
    raise StartError(f"the receiver does not listen after {_START_SECONDS:.0f} s; its log says why")


def _wait_until_ready(line: Line) -> None:
    """Until a callback would be kept; a little longer if that lets it be judged at once."""
    started = time.monotonic()
    with httpx2.Client(trust_env=False, timeout=5.0) as client:
        while time.monotonic() - started < _START_SECONDS:
            parts = client.get(f"{line.url}/readyz").json()["parts"]
            judging = parts["allowlist"]["ok"] or time.monotonic() - started > _DNS_SECONDS
            if parts["durable_write"]["ok"] and judging:
                return
            line.processes.check()
            time.sleep(0.1)
    raise StartError(f"the receiver could not write to Postgres within {_START_SECONDS:.0f} s; its log says why")


def _complete(environment: Mapping[str, str], services: ServiceUrls, folder: Path) -> dict[str, str]:
    """What was set, and what development may do without setting."""
    complete = dict(environment)
    if services.database_url:
        complete["DATABASE_URL"] = services.database_url
    if services.broker_url:
        complete["BROKER_URL"] = services.broker_url
    complete.setdefault("SPOOL_DIR", str((folder / "spool").resolve()))
    if complete.get("BIND", "").endswith(":0"):
        # Two of these on one machine: who asks for a free door means all of it.
        complete.setdefault("FEED_BIND", "127.0.0.1:0")
        complete.setdefault("FEED_METRICS_BIND", "127.0.0.1:0")
    for bind in ("BIND", "METRICS_BIND", "FEED_BIND", "FEED_METRICS_BIND"):
        complete[bind] = fixed_bind(complete.get(bind) or str(Settings.model_fields[bind.lower()].default))
    if not _given(environment, "ENCRYPTION_KEYS"):
        complete["ENCRYPTION_KEYS"] = _own_secret(folder / "encryption.keys", KeyRing.generate)
    if not _given(environment, "EXPORT_SIGNING_KEY"):
        _own_secret(folder / "export.key", new_signing_key)
    try:
        Settings.load("worker", complete)
    except SettingsError as error:
        raise SettingsError(f"{error}\nor let a simulated Jumio stand in: jumio-pipeline up --with-simulator") from None
    return complete


def fixed_bind(bind: str) -> str:
    """A free port in place of 0: a receiver that is started again must be where it was said to be."""
    host, _, port = bind.rpartition(":")
    return bind if port != "0" else f"{host}:{free_port(host.strip('[]'))}"


def _operators_settings(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Beside the URLs, what commands such as explain-source and subscriptions need to see things as the line does."""
    found = {name: environment[name] for name in _OPERATORS if environment.get(name)}
    if not _given(environment, "ENCRYPTION_KEYS"):
        found["ENCRYPTION_KEYS_FILE"] = str((folder / "encryption.keys").resolve())
    if not _given(environment, "EXPORT_SIGNING_KEY"):
        found["EXPORT_SIGNING_KEY_FILE"] = str((folder / "export.key").resolve())
    return found


def _own_secret(path: Path, generate: Callable[[], str]) -> str:
    """Generated once; without the keys nothing in the database can be read again."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(generate(), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _urls(settings: Settings, services: ServiceUrls) -> ServiceUrls:
    return ServiceUrls(
        database_url=services.database_url or settings.database_url.get_secret_value(),
        broker_url=services.broker_url or settings.broker_url.get_secret_value(),
    )


def _given(environment: Mapping[str, str], name: str) -> bool:
    return bool(environment.get(name) or environment.get(f"{name}_FILE"))
