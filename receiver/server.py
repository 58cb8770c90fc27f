"""One process, two listeners: BIND for callbacks, METRICS_BIND for the operator."""

import asyncio
import gc
import json
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from receiver.allowlist import Allowlist
from receiver.app import build_app, build_metrics_app
from receiver.connections import Connection, Peers, connection_class
from receiver.lookup import Lookup
from receiver.metrics import Metrics
from receiver.postgres import PooledError, check_durability, check_session, connected, is_poolers
from schemas.logs import configure_logs
from schemas.noted import noted_of_receiver
from schemas.settings import Settings, SettingsError
from schemas.sql.queries import query

# Above the 15 s of a body, so that what is under way ends by itself; with what closes after it, a stop is below 20 s.
STOP_SECONDS = 17
IDLE_SECONDS = 30
BACKLOG = 2048
# A container may allow a billion, and nobody serves more than this from one process.
MOST_FILES = 65_536
# Connections to Postgres, questions to DNS, the spool, the log.
FILES_OF_OUR_OWN = 64
# An operator must get to the metrics while the door is besieged: they have a share of their own.
MOST_AT_THE_DESK = 32

POOLED = (
    "DATABASE_URL: this is a pooler that cannot be used (PgBouncer with pool_mode=transaction, or one that refuses the "
    "startup parameter `options`); connect to Postgres itself, or with pool_mode=session and "
    "ignore_startup_parameters=options"
)

log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn's, but signals are handled once for both; it would raise them again at the end, and exit by signal."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to `serve`."""
        yield


def run(settings: Settings, *, ready_file: Path | None = None) -> None:
    """Receive until SIGTERM. `ready_file` is written once both listen: `host:port metrics_host:metrics_port`.

    Raises SettingsError where it cannot listen or use DATABASE_URL, DurabilityError where Postgres could lose what it
    acknowledges.
    """
    configure_logs(settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, ready_file=ready_file))


async def serve(settings: Settings, *, ready_file: Path | None = None) -> None:
    """As run, in a loop that is already there."""
    Lookup(settings.dns_servers)  # says now what it would say in the lifespan, where a server hides it
    await _refuse_to_lose(settings)
    metrics = Metrics()
    allowlist = Allowlist(settings)
    files = allow_files()
    # Connections that wait to be accepted are all accepted at once, before the first of them can be refused.
    backlog = min(BACKLOG, files // 4)
    most = files - backlog - FILES_OF_OUR_OWN - MOST_AT_THE_DESK
    at_the_door, at_the_desk = (
        connection_class(Peers(settings.trusted_proxies, metrics, allowlist.knows, most=share))
        for share in (most, MOST_AT_THE_DESK)
    )
    with listener(settings.bind, "BIND") as door, listener(settings.metrics_bind, "METRICS_BIND") as desk:
        servers = (
            Server(_config(build_app(settings, metrics, allowlist), at_the_door, lifespan=True, backlog=backlog)),
            Server(_config(build_metrics_app(metrics), at_the_desk, lifespan=False, backlog=MOST_AT_THE_DESK)),
        )
        _stop_on_signals(servers)
        async with asyncio.TaskGroup() as serving:
            for server, bound in zip(servers, (door, desk), strict=True):
                serving.create_task(server.serve(sockets=[bound]))
            for server in servers:
                await server.listening.wait()
            # What stays for the life of the process is nothing the collector need walk: p99 was measured to halve.
            gc.freeze()
            # Requests leave no cycles behind; the default walks the youngest objects after every tenth of them.
            gc.set_threshold(50_000, 50, 100)
            log.info("receiver.listening", bind=shown(door), metrics_bind=shown(desk), files=files)
            if ready_file is not None:
                announce(door, desk, ready_file)


def allow_files() -> int:
    """Raise the limit of open files as far as it may be: without one to spare, callers are reset in silence."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


@contextmanager
def listener(bind: str, name: str) -> Iterator[socket.socket]:
    """A bound socket. Raises SettingsError."""
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server(
            (host, int(port)),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except (OSError, OverflowError) as error:
        raise SettingsError(f"{name}: cannot listen on {bind}: {error}") from None
    with bound:
        yield bound


def shown(bound: socket.socket) -> str:
    """host:port as it is, also where port 0 asked for a free one."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def announce(door: socket.socket, desk: socket.socket, ready_file: Path) -> None:
    """Write both addresses, whole or not at all."""
    unfinished = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
    unfinished.write_text(f"{shown(door)} {shown(desk)}\n", encoding="utf-8")
    unfinished.replace(ready_file)


async def _refuse_to_lose(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    try:
        async with connected(url) as connection:
            await check_session(connection, url)
            await check_durability(connection)
            noted = {"process": "receiver", "settings": json.dumps(noted_of_receiver(settings))}
            await connection.execute(query("audit", "note_settings"), noted)
    except PooledError:
        raise SettingsError(POOLED) from None
    except (psycopg.Error, OSError) as error:
        if is_poolers(error):
            raise SettingsError(POOLED) from None
        # Away is no reason not to start: 503 until it is back, and every connection is checked again.
        log.warning("receiver.started_without_postgres", exc_info=True)


def _config(app: ASGIApp, protocol: type[Connection], *, lifespan: bool, backlog: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        backlog=backlog,
        lifespan="on" if lifespan else "off",
        # Its own rewriting of the peer address lets anyone on localhost be Jumio.
        proxy_headers=False,
        server_header=False,
        log_config=None,
        log_level="error",
        access_log=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _stop_on_signals(servers: tuple[Server, ...]) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
