"""stored -> queued: leases every due row and sends its Celery task. The only sender of tasks; any number may run."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from psycopg import Connection

from schemas.settings import Settings
from schemas.sql.queries import WorkTable
from workers import store
from workers.broker import LEASE_SECONDS, PULSE_QUEUE, PULSE_TASK, QUEUES, TASKS, build_app

log = structlog.get_logger()

# First what tells others, then what decides, then the bulk.
_ORDER: tuple[WorkTable, ...] = ("deliveries", "callbacks", "images", "deletions")
_BATCH = 100
# Messages that may wait in one queue: enough for a hundred workers. Without a bound a fleet that is down for a night
# would find every row in the broker a thousand times, as leases run out.
_DEPTH = 200
# A NOTIFY may be missed; this is what that costs.
_POLL_SECONDS = 0.5
# While work is under way: a delivery that was settled lets the next of its workflow or target go, and tells nobody.
_BUSY_POLL_SECONDS = 0.02
_BUSY_SECONDS = 1.0
_PULSE_SECONDS = 10.0
_HOUSEKEEPING_SECONDS = 2.0
# Strangers that were refused too early are looked for among up to 10,000 rows.
_JUDGE_AGAIN_SECONDS = 60.0
# When a broker is away every publish takes its connect timeout; not more often than this.
_BROKER_REST_SECONDS = 1.0
# What strangers sent is evidence for a week, then it is litter.
_REFUSED_SECONDS = 7 * 86400.0


class BrokerAwayError(Exception):
    """The broker did not answer, or did not take a message; its error's class."""


class Relay:
    """One relay process: a database connection, a broker app, and a loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Celery = build_app(settings)
        with self._app.connection_for_write() as connection:
            self._broker_errors: tuple[type[BaseException], ...] = (
                OperationalError,
                OSError,
                *connection.connection_errors,
                *connection.channel_errors,
            )
        self._stopping = threading.Event()
        self._name = f"relay@{socket.gethostname()}/{os.getpid()}"
        self._chores: list[tuple[float, Callable[[Connection], None]]] = [
            (_HOUSEKEEPING_SECONDS, self._judge_unverified),
            (_JUDGE_AGAIN_SECONDS, partial(self._judge_unverified, again=True)),
            (_HOUSEKEEPING_SECONDS, self._seal_audit),
            (_PULSE_SECONDS, self._pulse),
            (3600.0, self._tidy),
        ]
        self._done_at: dict[int, float] = {}
        self._sent_at = 0.0

    def stop(self) -> None:
        """End after the turn that is under way."""
        self._stopping.set()

    def run(self) -> None:
        """Relay until stopped, whatever happens to Postgres or the broker meanwhile."""
        while not self._stopping.is_set():
            try:
                with self._connect() as conn:
                    log.info("relay.started")
                    self._relay(conn)
            except psycopg.Error as error:
                log.warning("relay.database_away", error=type(error).__name__)
                self._stopping.wait(1.0)
            except Exception:
                # As at the door, anything is caught: a relay that ends stops the line.
                log.exception("relay.failed")
                self._stopping.wait(1.0)

    def _connect(self) -> Connection:
        return psycopg.connect(
            self._settings.database_url.get_secret_value(),
            autocommit=True,
            application_name="jumio-pipeline relay",
            connect_timeout=5,
            options="-c statement_timeout=15s",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=10_000,
        )

    def _relay(self, conn: Connection) -> None:
        conn.execute("LISTEN pipeline_due")
        while not self._stopping.is_set():
            try:
                sent = self._turn(conn)
            except BrokerAwayError as error:
                # The rest of the turn would wait for the same broker, and a stop would wait for it too.
                log.warning("relay.broker_away", error=error.args[0])
                self._stopping.wait(_BROKER_REST_SECONDS)
                continue
            if sent:
                self._sent_at = time.monotonic()
            else:
                # Ends at the first notification: what it tells of is found by the next turn.
                busy = time.monotonic() - self._sent_at < _BUSY_SECONDS
                for _ in conn.notifies(timeout=_BUSY_POLL_SECONDS if busy else _POLL_SECONDS, stop_after=1):
                    pass

    def _turn(self, conn: Connection) -> int:
        """Everything that is due now; how much was sent."""
        self._do_chores(conn)
        return sum(self.send_due(conn, table) for table in _ORDER if not self._stopping.is_set())

    def send_due(self, conn: Connection, table: WorkTable) -> int:
        """Lease, commit, publish; what the broker does not take is given back. How many were sent.

        Raises BrokerAwayError where the broker does not take them.
        """
        ids: list[UUID] = []
        sent = 0
        try:
            room = _DEPTH - self._depth(QUEUES[table])
            if room > 0:
                ids = store.lease(conn, table, seconds=LEASE_SECONDS, batch=min(room, _BATCH))
            for row_id in ids:
                self._publish(TASKS[table], QUEUES[table], row_id)
                sent += 1
        except self._broker_errors as error:
            store.release(conn, table, ids[sent:])
            raise BrokerAwayError(type(error).__name__) from error
        return sent

    def _depth(self, queue: str) -> int:
        """Messages that wait in a queue. Declared, because a passive declaration forgets the key prefix on Redis."""
        with self._app.connection_or_acquire() as connection:
            declared: Any = self._app.amqp.queues[queue](connection.default_channel).queue_declare()
            return int(declared.message_count)

    def _publish(self, task: str, queue: str, row_id: UUID | None = None) -> None:
        arguments = () if row_id is None else (str(row_id),)
        self._app.send_task(task, args=arguments, queue=queue, retry=False, ignore_result=True)

    def _do_chores(self, conn: Connection) -> None:
        for number, (seconds, chore) in enumerate(self._chores):
            if time.monotonic() - self._done_at.get(number, -seconds) >= seconds:
                self._done_at[number] = time.monotonic()
                chore(conn)

    def _pulse(self, conn: Connection) -> None:
        """A sign of life of its own, and a task that makes the workers give theirs."""
        store.change(conn, "pulses", "beat", {"process": self._name, "role": "relay"})
        try:
            if self._depth(PULSE_QUEUE) < _DEPTH:
                self._publish(PULSE_TASK, PULSE_QUEUE)
        except self._broker_errors as error:
            raise BrokerAwayError(type(error).__name__) from error

    def _judge_unverified(self, conn: Connection, *, again: bool = False) -> None:
        values = {
            "again": again,
            "hosts": [host.rstrip(".").lower() for host in self._settings.source_hosts],
            "extra": [str(network) for network in self._settings.source_extra],
            "observe": self._settings.source_check == "observe",
        }
        for row in store.rows(conn, "callbacks", "judge_unverified", values):
            if row["admitted"]:
                log.info("callback.judged", callback_id=str(row["id"]), admitted=True)
            else:
                log.warning("callback.judged", callback_id=str(row["id"]), admitted=False)

    def _seal_audit(self, conn: Connection) -> None:
        """Link what was committed since to the audit trail's chain; a backlog waits for the next turn."""
        store.rows(conn, "audit", "seal_audit")

    def _tidy(self, conn: Connection) -> None:
        dropped = store.change(conn, "callbacks", "drop_old_refused", {"seconds": _REFUSED_SECONDS})
        store.change(conn, "pulses", "drop_silent")
        store.change(conn, "subscriptions", "drop_expired_secrets")
        if dropped:
            log.info("callback.dropped", rows=dropped)


def run(settings: Settings) -> None:
    """Run one relay until SIGTERM or SIGINT."""
    relay = Relay(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: relay.stop())
    relay.run()
    log.info("relay.stopped")
