"""A queue is filled to its depth, and what a full or absent broker does not take is given back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import pytest
import redis
from psycopg import Connection

from schemas.settings import Settings
from schemas.sql.queries import work_query
from tests.workers.relaying import leased, put, sent
from workers.broker import QUEUES
from workers.relay import BrokerAwayError, Relay


@pytest.mark.parametrize(("waiting", "room"), [(0, 100), (150, 50), (200, 0), (250, 0)])
def test_a_queue_is_filled_to_its_depth_and_no_further(
    relay: Relay, conn: Connection, valkey: "redis.Redis", waiting: int, room: int
) -> None:
    put(conn, 120)
    if waiting:
        valkey.lpush("jumio:" + QUEUES["callbacks"], *["{}"] * waiting)

    assert relay.send_due(conn, "callbacks") == room
    assert leased(conn) == room


def test_what_it_sent_itself_counts_too(relay: Relay, conn: Connection) -> None:
    put(conn, 500)

    assert sum(relay.send_due(conn, "callbacks") for _ in range(6)) == 200


def test_what_the_broker_refuses_is_given_back_and_sent_later(
    settings: Settings, conn: Connection, valkey: "redis.Redis"
) -> None:
    ids = put(conn, 5)
    relay = hurried(settings)
    valkey.config_set("maxmemory", 1)

    with pytest.raises(BrokerAwayError):
        relay.send_due(conn, "callbacks")
    given_back = leased(conn)
    valkey.config_set("maxmemory", 0)
    taken = relay.send_due(conn, "callbacks")

    assert (given_back, taken) == (0, 5)
    assert sorted(sent(valkey)) == sorted(ids)
    assert conn.execute("SELECT DISTINCT attempts, state FROM pipeline.callbacks").fetchall() == [(0, "stored")]


def test_only_what_was_not_sent_is_given_back(settings: Settings, conn: Connection, valkey: "redis.Redis") -> None:
    ids = put(conn, 5)
    relay = hurried(settings)
    relay.send_due(conn, "images")
    with filling_after(valkey, 2), suppress(BrokerAwayError):
        relay.send_due(conn, "callbacks")
    first = sent(valkey)

    again = relay.send_due(conn, "callbacks")

    assert len(first) + again == 5
    assert sorted(sent(valkey)) == sorted(ids)


@contextmanager
def filling_after(valkey: "redis.Redis", count: int) -> Iterator[None]:
    """A broker that is full from the message of this number on."""
    watched, stop = "jumio:" + QUEUES["callbacks"], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            if valkey.llen(watched) >= count:
                valkey.config_set("maxmemory", 1)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
        valkey.config_set("maxmemory", 0)


def test_without_a_broker_nothing_is_leased_and_nothing_lost(database_url: str, conn: Connection) -> None:
    put(conn, 3)
    relay = hurried(Settings.load("relay", {"DATABASE_URL": database_url, "BROKER_URL": "redis://127.0.0.1:1/0"}))

    with pytest.raises(BrokerAwayError):
        relay.send_due(conn, "callbacks")

    assert leased(conn) == 0
    assert conn.execute("SELECT DISTINCT attempts, state FROM pipeline.callbacks").fetchall() == [(0, "stored")]


def hurried(settings: Settings) -> Relay:
    """One that was told to stop: it does not rest after the broker's refusal."""
    relay = Relay(settings)
    relay.stop()
    return relay


def test_a_giving_back_leaves_a_claim_alone(conn: Connection) -> None:
    """The message was taken by the broker after all, and a worker is at it."""
    ids = [UUID(each) for each in put(conn, 2)]
    conn.execute("UPDATE pipeline.callbacks SET leased_until = now() + interval '30 seconds'")
    conn.execute("UPDATE pipeline.callbacks SET claimed_until = now() + interval '75 seconds' WHERE id = %s", [ids[0]])

    conn.execute(work_query("callbacks", "release"), {"ids": ids})

    [(kept,)] = conn.execute("SELECT id FROM pipeline.callbacks WHERE leased_until IS NOT NULL").fetchall()
    assert kept == ids[0]
