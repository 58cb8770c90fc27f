"""Events on a RabbitMQ exchange, for systems that bind queues to it; taken once the broker has confirmed them."""

import ssl
from typing import ClassVar

import kombu
from amqp.exceptions import MessageNacked
from kombu.connection import ConnectionPool
from kombu.exceptions import KombuError
from kombu.exceptions import TimeoutError as PoolTimeoutError

from schemas.events.envelope import CONTENT_TYPE
from schemas.settings import Settings
from workers.destinations.destination import Event
from workers.errors import ExchangeAwayError

# As for the task broker: a half-open connection must not hold a sender.
_SECONDS = 5
# One for each of a process's senders.
_CONNECTIONS = 8


class Exchange:
    """The durable topic exchange of one process; the routing key is the event's type."""

    name: ClassVar[str] = "exchange"

    def __init__(self, settings: Settings) -> None:
        self._exchange = kombu.Exchange(settings.event_exchange, type="topic", durable=True)
        self._pool = _pool(settings.event_exchange_url.get_secret_value()) if self.enabled(settings) else None

    @staticmethod
    def enabled(settings: Settings) -> bool:
        """It has an address."""
        return bool(settings.event_exchange_url.get_secret_value())

    def put(self, event: Event) -> None:
        """Publish it. Raises ExchangeAwayError; the event may then be on the exchange all the same."""
        if self._pool is None:
            raise ExchangeAwayError("EVENT_EXCHANGE_URL is empty, so there is no exchange")
        try:
            connection = self._pool.acquire(block=True, timeout=_SECONDS)
        except PoolTimeoutError as error:
            raise ExchangeAwayError(type(error).__name__) from error
        try:
            self._publish(connection, event)
        # A queue that is full and rejects is told by MessageNacked, which kombu counts among none of its errors.
        except (KombuError, MessageNacked, OSError, *connection.connection_errors, *connection.channel_errors) as error:
            # Whatever state it is in, the next event gets a new one.
            connection.collect(socket_timeout=_SECONDS)
            raise ExchangeAwayError(type(error).__name__) from error
        finally:
            connection.release()

    def remove(self, *, tenant: str, subject: str) -> int:  # noqa: ARG002 - as others may
        """Nothing: what was published is in the queues of its consumers, who are told of the erasure."""
        return 0

    def close(self) -> None:
        if self._pool is not None:
            self._pool.force_close_all()

    def _publish(self, connection: kombu.Connection, event: Event) -> None:
        headers: dict[str, str | int] = {
            "subject": event.workflow_key,
            "sequence": event.sequence,
            "tenant": event.tenant,
        }
        if event.replays:
            headers["replays"] = event.replays
        connection.ensure_connection(max_retries=1, timeout=_SECONDS)
        connection.Producer(auto_declare=False).publish(
            event.body.encode(),
            exchange=self._exchange,
            routing_key=event.type,
            declare=[self._exchange],
            delivery_mode=kombu.Exchange.PERSISTENT_DELIVERY_MODE,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            message_id=event.id,
            headers=headers,
            timeout=_SECONDS,
            confirm_timeout=_SECONDS,
        )


def _pool(url: str) -> ConnectionPool:
    # amqps alone would encrypt, and verify nobody.
    secure = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None} if url.startswith("amqps:") else None
    options = {"confirm_publish": True, "max_retries": 1}
    pool: ConnectionPool = kombu.Connection(
        url, ssl=secure or False, connect_timeout=_SECONDS, transport_options=options
    ).Pool(limit=_CONNECTIONS)
    return pool
