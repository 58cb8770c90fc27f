"""Events on an exchange: through kombu's own in-memory transport, as queues bound to it see them."""

from collections.abc import Iterator
from queue import Empty
from typing import Any
from uuid import uuid4

import kombu
import pytest
from amqp.exceptions import MessageNacked
from psycopg import Connection
from pydantic import SecretStr

from schemas.sealing import KeyRing
from schemas.settings import Settings, inherited_environment
from workers.deliver import Destinations, deliver
from workers.destinations.destination import Event
from workers.destinations.exchange import Exchange
from workers.destinations.kinds import enabled_kinds
from workers.errors import ExchangeAwayError

RABBITMQ_URL = inherited_environment().get("RABBITMQ_URL", "")
KEYS = KeyRing.parse(KeyRing.generate())


def settings(url: str = "memory://", **more: Any) -> Settings:
    return Settings(encryption_keys=KEYS, event_exchange_url=SecretStr(url), **more)


@pytest.fixture
def queue() -> Iterator[Any]:
    """Bound to the exchange for everything about workflows."""
    name = f"jumio.events.{uuid4().hex}"
    with kombu.Connection("memory://") as connection:
        exchange = kombu.Exchange(name, type="topic", durable=True)
        bound = kombu.Queue(name, exchange=exchange, routing_key="kyc.workflow.#")
        with connection.SimpleQueue(bound) as simple:
            simple.exchange_name = name
            yield simple


def test_an_event_reaches_what_is_bound_and_is_delivered(line: Any, conn: Connection, queue: Any) -> None:
    destinations = Destinations(settings(event_exchange=queue.exchange_name))
    event_id = line.emit('{"a":"ü"}')
    conn.execute(
        "INSERT INTO pipeline.deliveries (id, event_id, destination, tenant, family, workflow_key, sequence, state)"
        " SELECT gen_random_uuid(), id, 'exchange', tenant, family, workflow_key, sequence, 'pending'"
        " FROM pipeline.events"
    )
    [delivery_id] = line.lease()

    deliver(conn, delivery_id, attempt=line.claim(delivery_id), destinations=destinations)
    destinations.others["exchange"].put(Event("again", "kyc.workflow.decided.v1", "t", "w", 1, "{}", replays=2))
    destinations.close()

    message = queue.get(timeout=1)
    assert message.body == '{"a":"ü"}'.encode()
    assert message.content_type == "application/cloudevents+json"
    assert message.properties["message_id"] == str(event_id)
    assert message.properties["delivery_mode"] == 2
    assert message.headers == {"subject": line.key["workflow_key"], "sequence": 1, "tenant": "default"}
    assert queue.get(timeout=1).headers == {"subject": "w", "sequence": 1, "tenant": "t", "replays": 2}
    assert line.row(delivery_id) == ("delivered", None, None)


def test_the_routing_key_is_the_type(queue: Any) -> None:
    exchange = Exchange(settings(event_exchange=queue.exchange_name))
    for type_ in ("kyc.subject.erased.v1", "kyc.workflow.expired.v1"):
        exchange.put(Event("1", type_, tenant="default", workflow_key="w", sequence=1, body="{}"))
    exchange.close()

    assert queue.get(timeout=1).delivery_info["routing_key"] == "kyc.workflow.expired.v1"
    with pytest.raises(Empty):
        queue.get(block=False)


@pytest.mark.parametrize("url", ["amqp://127.0.0.1:1//", "amqps://127.0.0.1:1//"])
def test_a_broker_that_is_away_is_tried_again_and_told_by_class(url: str) -> None:
    exchange = Exchange(settings(url))

    with pytest.raises(ExchangeAwayError, match=r"^exchange_away: \w+$"):
        exchange.put(Event("1", "t", tenant="default", workflow_key="w", sequence=1, body="{}"))
    exchange.close()


def test_an_exchange_without_an_address_is_said_so() -> None:
    assert enabled_kinds(settings("")) == ()
    assert enabled_kinds(settings(broker_url=SecretStr("redis://localhost"))) == ("stream", "exchange")
    with pytest.raises(ExchangeAwayError, match="EVENT_EXCHANGE_URL is empty"):
        Exchange(settings("")).put(Event("1", "t", tenant="default", workflow_key="w", sequence=1, body="{}"))


class Refusing(Exchange):
    """Its broker says no to everything."""

    def _publish(self, *_: object) -> None:
        raise MessageNacked


def test_what_the_broker_refuses_is_tried_again() -> None:
    exchange = Refusing(settings())

    with pytest.raises(ExchangeAwayError, match="exchange_away: MessageNacked"):
        exchange.put(Event("1", "t", tenant="default", workflow_key="w", sequence=1, body="{}"))
    exchange.close()


@pytest.mark.skipif(not RABBITMQ_URL, reason="needs a RabbitMQ: RABBITMQ_URL=amqp://guest:guest@127.0.0.1:5672//")
def test_a_real_broker_confirms_what_it_took_and_what_it_refused_is_tried_again() -> None:
    name = f"jumio.events.{uuid4().hex}"
    exchange = Exchange(settings(RABBITMQ_URL, event_exchange=name))
    event = Event("1", "kyc.workflow.expired.v1", tenant="default", workflow_key="w", sequence=1, body="{}")
    exchange.put(event)
    with kombu.Connection(RABBITMQ_URL) as connection:
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        bound = kombu.Exchange(name, type="topic", durable=True)
        queue = kombu.Queue(name, bound, "kyc.#", queue_arguments=full)(connection.channel())
        queue.declare()

        exchange.put(event)
        with pytest.raises(ExchangeAwayError, match="exchange_away: MessageNacked"):
            flood(exchange, event)
        message = queue.get(no_ack=True)
        queue.delete()
        exchange.put(event)
        bound(connection.channel()).delete()
    exchange.close()

    assert message is not None
    assert (message.properties["message_id"], message.properties["delivery_mode"]) == ("1", 2)


def flood(exchange: Exchange, event: Event) -> None:
    """More than a queue of one takes."""
    for _ in range(3):
        exchange.put(event)
