"""What a sender takes up next without a message: what is due for the same subscriber, and nothing that is held."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from pydantic import SecretStr

from deploy.subscriptions import add, pause
from schemas.sealing import KeyRing
from schemas.settings import Settings
from tests.workers.conftest import Line
from workers import store
from workers.deliver import Destinations, deliver

KEYS = KeyRing.parse(KeyRing.generate())
LOCAL = (ip_network("127.0.0.0/8"),)
BODY = "{}"
CLAIM = 75.0


@pytest.fixture
def send(line: Line) -> Iterator[Callable[..., store.Claimed | None]]:
    """Claim and deliver as a sender does; what it holds then."""
    settings = Settings(encryption_keys=KEYS, subscriber_private_cidrs=LOCAL, broker_url=SecretStr("amqp://nowhere"))
    destinations = Destinations(settings, seconds=2.0)

    def run(delivery_id: UUID, attempt: int | None = None, claim: float | None = CLAIM) -> store.Claimed | None:
        number = line.claim(delivery_id) if attempt is None else attempt
        return deliver(line.conn, delivery_id, attempt=number, destinations=destinations, claim=claim)

    yield run
    destinations.close()


def test_the_next_of_another_workflow_is_claimed_with_the_commit(
    line: Line, conn: Connection, subscriber: Any, send: Callable[..., store.Claimed | None]
) -> None:
    add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    other = Line(conn)
    [first], [second] = line.ids(line.emit(BODY)), line.ids(line.emit(BODY))
    [elsewhere] = other.ids(other.emit(BODY))

    held = send(first)

    assert held == (elsewhere, 1, 1)
    # It is nobody else's, and counts as under way; the one that waited for the first is the relay's again.
    assert line.lease() == [second]
    assert send(elsewhere, attempt=1) is None
    assert line.row(elsewhere)[0] == "delivered"
    assert len(subscriber.requests) == 2


@pytest.mark.parametrize("why", ["paused", "failing", "no time", "leased", "not due", "another's"])
def test_what_is_held_is_not_taken_up(
    line: Line,
    conn: Connection,
    subscriber: Any,
    send: Callable[..., store.Claimed | None],
    why: str,
) -> None:
    add(conn, subscriber.url(), keys=KEYS, private=LOCAL)
    [first] = line.ids(line.emit(BODY))
    other = Line(conn)
    if why == "another's":
        conn.execute("UPDATE pipeline.subscriptions SET types = '{none}'")
        add(conn, subscriber.url("/other"), keys=KEYS, private=LOCAL)
    [elsewhere] = other.ids(other.emit(BODY))
    number = line.claim(first)
    if why == "paused":
        pause(conn, subscriber.url())
    elif why == "failing":
        conn.execute("UPDATE pipeline.subscriptions SET failures = 1, failing_since = now()")
    elif why == "leased":
        assert line.lease() == [elsewhere]
    elif why == "not due":
        conn.execute(
            "UPDATE pipeline.deliveries SET next_attempt_at = now() + interval '1 h' WHERE id = %s", [elsewhere]
        )

    if why == "paused":
        # While it was being sent: before that, it is not.
        assert store.finish_sent(conn, first, attempt=number, status=200, seconds=CLAIM) == (True, None)
    else:
        assert send(first, attempt=number, claim=None if why == "no time" else CLAIM) is None

    assert line.row(first)[0] == "delivered"
    assert line.row(elsewhere)[0] == "pending"
    assert conn.execute("SELECT attempts FROM pipeline.deliveries WHERE id = %s", [elsewhere]).fetchall() == [(0,)]
