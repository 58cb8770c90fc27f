"""One process, two listeners: FEED_BIND for consumers, FEED_METRICS_BIND for the operator."""

import asyncio
import signal
from functools import partial
from pathlib import Path
from typing import Literal

import psycopg
import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from feed.app import build_app
from feed.latest import Latest
from feed.metrics import Metrics
from feed.store import latest, open_pool
from receiver.app import build_metrics_app
from receiver.connections import Connection, Peers, connection_class
from receiver.guard import Guard
from receiver.server import IDLE_SECONDS, MOST_AT_THE_DESK, Server, allow_files, announce, listener, shown
from schemas.logs import configure_logs
from schemas.settings import Settings
from schemas.sql.queries import query

# Who waits is sent home at once; what is left is an answer that somebody reads slowly.
STOP_SECONDS = 5
# Room for what the process itself holds open.
_FILES_OF_OUR_OWN = 64
_BACKLOG = 256

log = structlog.get_logger()


class _HangingUpCounts(Connection):
    """A consumer that closes its side has given up its wait; at the door it would still get its answer."""

    def eof_received(self) -> bool:  # type: ignore[override]
        return False


def run(settings: Settings, *, ready_file: Path | None = None) -> None:
    """Answer until SIGTERM. `ready_file` is written once both listen: `host:port metrics_host:metrics_port`.

    Raises SettingsError.
    """
    configure_logs(settings.log_format)
    _begin_epoch(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, ready_file=ready_file))


async def serve(settings: Settings, *, ready_file: Path | None = None) -> None:
    """As run, in a loop that is already there."""
    pool = open_pool(settings.database_url.get_secret_value())
    look_out = Latest(partial(latest, pool))
    metrics = Metrics()
    app = Guard(build_app(pool, look_out, metrics), metrics)
    most = allow_files() - _FILES_OF_OUR_OWN - MOST_AT_THE_DESK
    with (
        listener(settings.feed_bind, "FEED_BIND") as bound,
        listener(settings.feed_metrics_bind, "FEED_METRICS_BIND") as desk,
    ):
        servers = (
            Server(_config(app, _protocol(metrics, most), lifespan="on")),
            Server(_config(build_metrics_app(metrics), _protocol(metrics, MOST_AT_THE_DESK), lifespan="off")),
        )

        def stop() -> None:
            for server in servers:
                server.should_exit = True
            look_out.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        async with asyncio.TaskGroup() as serving:
            for server, listening in zip(servers, (bound, desk), strict=True):
                serving.create_task(server.serve(sockets=[listening]))
            for server in servers:
                await server.listening.wait()
            log.info("feed.listening", bind=shown(bound), metrics_bind=shown(desk))
            if ready_file is not None:
                announce(bound, desk, ready_file)


def _begin_epoch(settings: Settings) -> None:
    """A database that was restored from another cluster's has events with numbers that are still to come here."""
    try:
        with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True, connect_timeout=5) as conn:
            [(events, begun)] = conn.execute(query("feed", "begin_epoch")).fetchall()
    except psycopg.OperationalError:
        # Away is no reason not to start: 503 until it is back.
        log.warning("feed.database_away", error="OperationalError")
        return
    if begun:
        log.warning("feed.epoch_begun", events=events)


def _protocol(metrics: Metrics, most: int) -> type[asyncio.Protocol]:
    """Slow heads and unread answers are cut as at the door; anyone who gets here may be a consumer, or their proxy."""
    peers = Peers((), metrics, lambda _peer: True, most=most)
    return type("FeedConnection", (_HangingUpCounts, connection_class(peers)), {})


def _config(app: ASGIApp, protocol: type[asyncio.Protocol], *, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        backlog=_BACKLOG,
        lifespan=lifespan,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        log_level="error",
        access_log=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
