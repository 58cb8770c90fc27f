"""Events on a Redis stream."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection
from pydantic import SecretStr
from redis import Redis
from redis.connection import parse_url

from schemas.sealing import KeyRing
from schemas.settings import Settings
from workers.deliver import Destinations, deliver
from workers.destinations.destination import Event
from workers.destinations.stream import EventStream, redis_url
from workers.errors import StreamAwayError


def event(event_id: str) -> Event:
    return Event(event_id, type="t", tenant="default", workflow_key="w", sequence=1, body="{}")


def settings(broker_url: str, **more: Any) -> Settings:
    keys = KeyRing.parse(KeyRing.generate())
    return Settings(broker_url=SecretStr(broker_url), encryption_keys=keys, **more)


@pytest.fixture
def redis(broker_url: str) -> Iterator[Redis]:
    with Redis.from_url(broker_url, decode_responses=True) as client:
        yield client
        client.delete("jumio:events")


def test_an_event_lands_on_the_stream(line: Any, conn: Connection, broker_url: str, redis: Any) -> None:
    destinations = Destinations(settings(broker_url))
    event_id = line.emit('{"a":"ü"}', stream=True)
    [delivery_id] = line.ids(event_id)

    deliver(conn, delivery_id, attempt=line.claim(delivery_id), destinations=destinations)
    destinations.close()

    [(_, fields)] = redis.xrange("jumio:events")
    assert json.loads(fields.pop("body")) == {"a": "ü"}
    assert fields == {
        "id": str(event_id),
        "type": "kyc.workflow.decided.v1",
        "subject": line.key["workflow_key"],
        "sequence": "1",
        "tenant": "default",
    }
    assert line.row(delivery_id) == ("delivered", None, None)


def test_a_redis_that_went_away_is_tried_again(broker_url: str, redis: Any) -> None:
    stream = EventStream(settings(broker_url))
    stream.put(event("1"))
    for client in redis.client_list():
        if client["cmd"] == "xadd":
            redis.client_kill_filter(_id=client["id"])

    stream.put(event("2"))
    stream.close()

    assert [fields["id"] for _, fields in redis.xrange("jumio:events")] == ["1", "2"]


@pytest.mark.parametrize("page", [2, 1000])
def test_rewritten_the_stream_is_as_it_was_without_the_bytes_of_what_was_taken_off(
    broker_url: str, redis: Any, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("workers.destinations.stream._PAGE", page)
    stream, name = EventStream(settings(broker_url)), "jumio:events"
    for number, subject in enumerate(["w1", "erased", "w2", "w3", "erased"]):
        stream.put(Event(str(number), type="t", tenant="default", workflow_key=subject, sequence=1, body=subject * 3))
    redis.xgroup_create(name, "ledger", "0")
    redis.xreadgroup("ledger", "one", {name: ">"}, count=3)
    assert stream.remove(tenant="default", subject="erased") == 2
    entries, last = redis.xrange(name), redis.xinfo_stream(name)["last-generated-id"]
    with Redis.from_url(broker_url) as client:
        assert b"erased" in bytes(client.dump(name))

        stream.rewrite()

        assert b"erased" not in bytes(client.dump(name))
    assert redis.xrange(name) == entries
    assert redis.xinfo_stream(name)["last-generated-id"] == last
    pending = redis.xpending_range(name, "ledger", "-", "+", 10)
    assert [(each["message_id"], each["consumer"]) for each in pending] == [(entries[n][0], "one") for n in (0, 1)]
    [[_, rest]] = redis.xreadgroup("ledger", "two", {name: ">"})
    assert [fields["subject"] for _, fields in rest] == ["w3"]
    assert redis.keys("*rewritten*") == []
    stream.close()


def test_an_empty_stream_is_rewritten_with_its_last_id_and_none_is_made(broker_url: str, redis: Any) -> None:
    stream = EventStream(settings(broker_url))
    stream.rewrite()
    assert redis.exists("jumio:events") == 0
    stream.put(event("1"))
    [(last, _)] = redis.xrange("jumio:events")
    stream.remove(tenant="default", subject="w")

    stream.rewrite()
    stream.close()

    assert redis.xinfo_stream("jumio:events")["last-generated-id"] == last


def test_no_redis_at_all_is_said_by_class(tmp_path: Any) -> None:
    stream = EventStream(settings(f"unix://{tmp_path}/nobody.sock"))

    with pytest.raises(StreamAwayError, match="stream_away: ConnectionError"):
        stream.put(event("1"))
    stream.close()


def test_a_key_of_another_kind_is_said_by_class(broker_url: str, redis: Any) -> None:
    redis.set("jumio:events", "not a stream")
    stream = EventStream(settings(broker_url))

    with pytest.raises(StreamAwayError, match="ResponseError"):
        stream.put(event("1"))
    stream.close()


@pytest.mark.parametrize(
    ("broker_url", "read"),
    [
        ("redis+socket:///run/v.sock?virtual_host=3", {"path": "/run/v.sock", "db": 3}),
        ("redis+socket:///run/v.sock", {"path": "/run/v.sock", "db": 0}),
        ("unix:///run/v.sock?db=2", {"path": "/run/v.sock", "db": 2}),
        ("redis://user:p%40ss@h:6380/4", {"host": "h", "port": 6380, "db": 4, "username": "user", "password": "p@ss"}),
        ("rediss://h/0?ssl_cert_reqs=CERT_REQUIRED", {"host": "h", "ssl_cert_reqs": "required"}),
        (
            "rediss://h/0?ssl_cert_reqs=none&ssl_ca_certs=%2Fca.pem",
            {"ssl_cert_reqs": "none", "ssl_ca_certs": "/ca.pem"},
        ),
    ],
)
def test_celerys_words_for_a_server_are_understood(broker_url: str, read: dict[str, object]) -> None:
    understood = parse_url(redis_url(broker_url))

    assert {name: understood[name] for name in read} == read


def test_a_stream_where_there_is_none_is_said_so(line: Any, conn: Connection) -> None:
    destinations = Destinations(settings("amqp://nowhere"))
    [delivery_id] = line.ids(line.emit("{}", stream=True))

    with pytest.raises(StreamAwayError, match="not Redis"):
        deliver(conn, delivery_id, attempt=line.claim(delivery_id), destinations=destinations)

    assert not EventStream.enabled(settings("amqp://nowhere"))


@pytest.mark.parametrize(
    ("broker_url", "name", "enabled"),
    [
        ("redis://localhost:6379/0", "jumio:events", True),
        ("rediss://localhost:6379/0?ssl_cert_reqs=CERT_REQUIRED", "jumio:events", True),
        ("redis+socket:///run/valkey.sock", "jumio:events", True),
        ("unix:///run/valkey.sock", "jumio:events", True),
        ("redis://localhost:6379/0", "", False),
        ("amqp://localhost", "jumio:events", False),
        ("", "jumio:events", False),
    ],
)
def test_there_is_a_stream_where_the_broker_is_redis(broker_url: str, name: str, enabled: bool) -> None:  # noqa: FBT001
    wanted = settings(broker_url, event_stream=name)

    assert EventStream.enabled(wanted) is enabled
    EventStream(wanted).close()
