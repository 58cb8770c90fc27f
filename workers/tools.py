"""What a worker process holds open: connections to Postgres, Jumio's client, the way to subscribers."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from psycopg import Connection
from psycopg_pool import ConnectionPool
from structlog.contextvars import bind_contextvars

from schemas.settings import Settings, Tenant
from workers import store
from workers.broker import CLAIM_SECONDS
from workers.deliver import Destinations, deliver
from workers.destinations.kinds import enabled_kinds
from workers.emit import Outlet
from workers.jumio.breaker import Breaker
from workers.jumio.budget import Budget, Fleet
from workers.jumio.client import Jumio
from workers.jumio.legacy import Legacy
from workers.jumio.token import Tokens
from workers.jumio.transport import Http
from workers.senders import SENDERS, Senders
from workers.vault.vaults import Vaults
from workers.work import Work

# A statement that takes longer is stuck, and a transaction that idles longer has lost its worker.
_OPTIONS = "-c statement_timeout=15s -c idle_in_transaction_session_timeout=20s -c synchronous_commit=on"

# How long a sender goes on with one subscriber before the broker says who is next: long against a delivery to one that
# is well, so that most need no message; short beside what others may be made to wait.
RUN_SECONDS = 0.5


@dataclass(frozen=True)
class Tools:
    """Opened once a process, after the fork."""

    settings: Settings
    pool: ConnectionPool
    http: Http
    fleet: Fleet
    jumio: dict[str, Jumio]
    legacy: dict[str, Legacy]
    destinations: Destinations
    vaults: Vaults
    outlet: Outlet
    senders: Senders
    worker: str

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """An autocommit connection, checked before use."""
        with self.pool.connection() as conn:
            yield conn


_open: dict[int, Tools] = {}


def open_tools(settings: Settings) -> Tools:
    """Open them for this process."""
    http = Http()
    fleet = Fleet(settings.broker_url.get_secret_value(), processes=settings.worker_processes)
    outlet = Outlet(source=settings.event_source, destinations=enabled_kinds(settings))
    opened = Tools(
        settings=settings,
        pool=_open_pool(settings),
        http=http,
        fleet=fleet,
        jumio={name: _jumio(tenant, http, fleet, settings) for name, tenant in settings.tenants.items()},
        legacy={name: _legacy(tenant, http, fleet) for name, tenant in settings.tenants.items()},
        destinations=Destinations(settings),
        vaults=Vaults(settings),
        outlet=outlet,
        senders=Senders(deliver_row),
        # Children of one worker are one worker: the parent's pid names it.
        worker=f"worker@{socket.gethostname()}/{os.getppid()}",
    )
    _open[os.getpid()] = opened
    return opened


def tools() -> Tools:
    """Those of this process."""
    return _open[os.getpid()]


def deliver_row(delivery_id: UUID) -> None:
    """What a sender does with a delivery, and then with others that are due for the same subscriber."""
    hand, until = tools(), time.monotonic() + RUN_SECONDS
    with hand.connection() as conn:
        held = store.claim(conn, "deliveries", delivery_id, seconds=CLAIM_SECONDS)
        while held is not None:
            bind_contextvars(row=str(held.id))
            held = _deliver(hand, conn, held, until)


def _deliver(hand: Tools, conn: Connection, held: store.Claimed, until: float) -> store.Claimed | None:
    """The work around one that is claimed; what was claimed in its place, while there is time."""
    following: list[store.Claimed | None] = [None]

    def step(conn: Connection, attempt: int) -> None:
        claim = CLAIM_SECONDS if time.monotonic() < until and not hand.senders.closing else None
        following[0] = deliver(conn, held.id, attempt=attempt, destinations=hand.destinations, claim=claim)

    work = Work("deliveries", held.id, hand.settings.delivery_retry_seconds, step)
    work.take(conn, held.attempt, held.counted)
    return following[0]


def close_tools() -> None:
    """Close what this process opened; first what still uses the rest."""
    opened = _open.get(os.getpid())
    if opened is not None:
        opened.senders.close()
        opened.destinations.close()
        opened.http.close()
        opened.fleet.close()
        opened.pool.close()
        del _open[os.getpid()]


def _jumio(tenant: Tenant, http: Http, fleet: Fleet, settings: Settings) -> Jumio:
    tokens = Tokens(tenant, http, settings.keys)
    return Jumio(tenant, http, tokens, Budget(tenant, fleet, "kyx"), Breaker(tenant, http))


def _legacy(tenant: Tenant, http: Http, fleet: Fleet) -> Legacy:
    return Legacy(tenant, http, Budget(tenant, fleet, "legacy"), Breaker(tenant, http, "legacy credentials"))


def _open_pool(settings: Settings) -> ConnectionPool:
    return ConnectionPool(
        settings.database_url.get_secret_value(),
        min_size=1,
        # Senders hold theirs while a subscriber thinks; most of the time nearly all are closed.
        max_size=SENDERS + 2,
        max_idle=60,
        timeout=10,
        max_lifetime=1800,
        check=ConnectionPool.check_connection,
        kwargs={
            "autocommit": True,
            "application_name": "jumio-pipeline worker",
            "connect_timeout": 5,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": _OPTIONS,
        },
        open=True,
    )
