"""One event to one destination: who took it, who did not, and what the row says then."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import Connection
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.signing_secrets import rotate_secret
from deploy.subscriptions import Added, Wishes, add
from schemas.sealing import KeyRing, UnsealError
from schemas.settings import Settings
from schemas.sql.queries import work_query
from workers import store
from workers.deliver import Destinations, deliver
from workers.errors import LineError, SubscriberAwayError, SubscriberForbiddenError

KEYS = KeyRing.parse(KeyRing.generate())
LOCAL = (ip_network("127.0.0.0/8"),)
BODY = '{"specversion":"1.0","id":"…","data":{"label":"GEPRÜFT"}}'
SECONDS = 0.6


@pytest.fixture
def destinations() -> Iterator[Destinations]:
    opened = Destinations(
        Settings(encryption_keys=KEYS, subscriber_private_cidrs=LOCAL, broker_url=SecretStr("amqp://nowhere")),
        seconds=SECONDS,
    )
    yield opened
    opened.close()


def subscribe(conn: Connection, url: str, types: list[str] | None = None) -> Added:
    return add(conn, url, Wishes(types=types), keys=KEYS, private=LOCAL)


def attempt(line: Any, delivery_id: UUID, destinations: Destinations) -> LineError | None:
    """Claim and deliver as the task does, with its retry at once."""
    number = line.claim(delivery_id)
    try:
        deliver(line.conn, delivery_id, attempt=number, destinations=destinations)
    except LineError as error:
        values = {"id": delivery_id, "attempt": number, "delay": 0, "error": str(error), "forgive": 0}
        line.conn.execute(work_query("deliveries", "retry"), values)
        return error
    return None


def emit_and_attempt(line: Any, destinations: Destinations) -> tuple[UUID, LineError | None]:
    [delivery_id] = line.ids(line.emit(BODY))
    return delivery_id, attempt(line, delivery_id, destinations)


def test_a_subscriber_gets_the_signed_bytes(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    added = subscribe(conn, subscriber.url("/hook?key=1"))
    event_id = line.emit(BODY)
    [delivery_id] = line.ids(event_id)

    assert attempt(line, delivery_id, destinations) is None

    [request] = subscriber.requests
    assert request.path == "/hook?key=1"
    assert request.body == BODY.encode()
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["user-agent"].startswith("jumio-pipeline/")
    assert request.headers["webhook-id"] == str(event_id)
    Webhook(added.secret).verify(request.body, request.headers)
    assert line.row(delivery_id) == ("delivered", 200, None)


def test_after_a_rotation_both_secrets_verify_until_the_old_one_expires(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    old = subscribe(conn, subscriber.url())
    new = rotate_secret(conn, str(old.id), keys=KEYS, path=None, ed25519=False, seconds=3600)
    newest = rotate_secret(conn, str(old.id), keys=KEYS, path=None, ed25519=True, seconds=3600)

    emit_and_attempt(line, destinations)
    conn.execute("UPDATE pipeline.retired_secrets SET expires_at = now()")
    emit_and_attempt(line, destinations)

    during, after = subscriber.requests
    for secret in (old.secret, new.text):
        Webhook(secret).verify(during.body, during.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(after.body, after.headers)
    kinds = [
        [each.partition(",")[0] for each in sent.headers["webhook-signature"].split(" ")] for sent in (during, after)
    ]
    assert kinds == [["v1a", "v1", "v1"], ["v1a"]]
    assert (newest.public_key or "").startswith("whpk_")


def test_a_rotation_at_once_ends_every_secret_of_before(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    added = subscribe(conn, subscriber.url())
    rotate_secret(conn, str(added.id), keys=KEYS, path=None, ed25519=False, seconds=3600)
    newest = rotate_secret(conn, str(added.id), keys=KEYS, path=None, ed25519=False, seconds=0)

    emit_and_attempt(line, destinations)

    [request] = subscriber.requests
    assert request.headers["webhook-signature"].count("v1,") == 1
    Webhook(newest.text).verify(request.body, request.headers)


def test_a_worker_that_stood_still_for_too_long_sends_nothing(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    subscribe(conn, subscriber.url())
    [delivery_id] = line.ids(line.emit(BODY))
    number = line.claim(delivery_id)
    # Less is left of the claim than sending may take: another worker could have it before the last byte is out.
    conn.execute("UPDATE pipeline.deliveries SET claimed_until = now() + interval '1 second'")

    deliver(conn, delivery_id, attempt=number, destinations=destinations)

    assert subscriber.connections == 0
    assert line.row(delivery_id)[0] == "pending"


def test_nothing_is_sent_before_an_earlier_one_that_was_put_back(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    subscribe(conn, subscriber.url())
    [first], [second] = line.ids(line.emit(BODY)), line.ids(line.emit(BODY))
    assert store.claim(conn, "deliveries", second, seconds=75) is None
    store.finish(conn, "deliveries", first, attempt=line.claim(first), state="parked", error="x: y")
    number = line.claim(second)
    # As a requeue that began before the claim.
    conn.execute("UPDATE pipeline.deliveries SET state = 'pending', finished_at = NULL WHERE id = %s", [first])

    deliver(conn, second, attempt=number, destinations=destinations)
    assert subscriber.connections == 0

    attempt(line, first, destinations)
    deliver(conn, second, attempt=number, destinations=destinations)
    assert [line.row(each)[0] for each in (first, second)] == ["delivered", "delivered"]


def test_every_try_has_the_same_id_and_body_and_a_time_of_its_own(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(conn, subscriber.url("/status/500"))
    now = time.time()

    delivery_id, _ = emit_and_attempt(line, destinations)
    monkeypatch.setattr(time, "time", lambda: now + 60)
    attempt(line, delivery_id, destinations)

    first, second = subscriber.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 59
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert line.row(delivery_id)[1] == 500
    # What it answered once says nothing of a try that had no answer.
    conn.execute("UPDATE pipeline.subscriptions SET url = %s", [subscriber.url("/hangup")])
    attempt(line, delivery_id, destinations)
    assert line.row(delivery_id)[1] is None


@pytest.mark.parametrize("status", [199, 300, 302, 400, 401, 404, 429, 500, 503])
def test_anything_but_2xx_is_tried_again(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations, status: int
) -> None:
    # 1xx are not answers: what comes after one is.
    subscribe(conn, subscriber.url(f"/status/{status}"))

    delivery_id, error = emit_and_attempt(line, destinations)

    assert isinstance(error, SubscriberAwayError)
    state, last_status, _ = line.row(delivery_id)
    assert (state, last_status) == ("pending", None if status == 199 else status)
    assert error.retry_after is None


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_taken(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations, status: int
) -> None:
    subscribe(conn, subscriber.url(f"/status/{status}"))

    delivery_id, error = emit_and_attempt(line, destinations)

    assert error is None
    assert line.row(delivery_id) == ("delivered", status, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("9" * 40, None),
        ("-5", None),
        ("1e3", None),
        ("soon", None),
        (format_datetime(datetime(2199, 1, 1, tzinfo=UTC), usegmt=True), 86_400.0),
        (format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True), 0.0),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
        # Too large a number in a date is another exception than a wrong one; it once lost the answer, a 200 too.
        ("Wed, 21 Oct 2026 07:28:00 +99999999999999", None),
        (f"Wed, 21 Oct {'9' * 30} 07:28:00 GMT", None),
    ],
)
def test_a_retry_after_is_passed_on_and_capped(
    line: Any, subscriber: Any, destinations: Destinations, value: str, seconds: float | None
) -> None:
    subscribe(line.conn, subscriber.url(f"/status/429/retry-after/{value.replace(' ', '%20')}"))

    _, error = emit_and_attempt(line, destinations)

    assert isinstance(error, SubscriberAwayError)
    assert error.retry_after == seconds
    assert error.args[0] == "status 429"


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/hangup", "RemoteProtocolError"),
        ("/garbage", "RemoteProtocolError"),
        ("/drip", "ReadTimeout"),
        ("/hints", "ReadTimeout"),
    ],
)
def test_no_status_in_time_is_tried_again(
    line: Any, subscriber: Any, destinations: Destinations, path: str, seen: str
) -> None:
    subscribe(line.conn, subscriber.url(path))
    started = time.monotonic()

    delivery_id, error = emit_and_attempt(line, destinations)

    assert isinstance(error, SubscriberAwayError)
    assert seen in error.args
    assert time.monotonic() - started < SECONDS + 1
    assert line.row(delivery_id)[:2] == ("pending", None)


def test_a_subscriber_that_never_reads_holds_no_one_for_long(
    line: Any, conn: Connection, silent: str, destinations: Destinations
) -> None:
    subscribe(conn, silent)
    started = time.monotonic()

    _, error = emit_and_attempt(line, destinations)

    assert str(error).startswith("subscriber_away: ReadTimeout")
    assert SECONDS <= time.monotonic() - started < SECONDS + 1


@pytest.mark.parametrize("path", ["/huge", "/slowbody"])
def test_the_status_counts_and_not_the_rest_of_the_answer(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations, path: str
) -> None:
    subscribe(conn, subscriber.url(path))
    started = time.monotonic()

    delivery_id, error = emit_and_attempt(line, destinations)

    assert error is None
    assert line.row(delivery_id) == ("delivered", 200, None)
    assert time.monotonic() - started < SECONDS + 1
    # What the kernel's buffers hold besides the 64 KiB that are read.
    assert subscriber.sent < 16 * 1_048_576


def test_a_410_ends_the_subscription_and_what_waits_for_it(
    line: Any,
    conn: Connection,
    subscriber: Any,
    open_subscriber: Callable[[], Any],
    destinations: Destinations,
) -> None:
    other = open_subscriber()
    gone = subscribe(conn, subscriber.url("/status/410"))
    subscribe(conn, other.url())
    first, second = line.ids(line.emit(BODY)), line.ids(line.emit(BODY))

    for delivery_id in first:
        assert attempt(line, delivery_id, destinations) is None

    assert sorted(line.row(delivery_id)[0] for delivery_id in first) == ["cancelled", "delivered"]
    assert sorted(line.row(delivery_id)[0] for delivery_id in second) == ["cancelled", "pending"]
    reasons = {line.row(delivery_id)[2] for delivery_id in first + second} - {None}
    assert reasons == {"subscription_gone: the subscriber answered 410"}
    [[removed]] = conn.execute("SELECT removed_at FROM pipeline.subscriptions WHERE id = %s", [gone.id]).fetchall()
    assert removed is not None
    assert len(line.ids(line.emit(BODY))) == 1


def test_a_delivery_to_a_removed_subscription_is_cancelled_and_not_sent(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    added = subscribe(conn, subscriber.url())
    [delivery_id] = line.ids(line.emit(BODY))
    # As an event's transaction leaves it that began before the removal.
    conn.execute("UPDATE pipeline.subscriptions SET removed_at = now() WHERE id = %s", [added.id])

    assert attempt(line, delivery_id, destinations) is None

    assert line.row(delivery_id)[0] == "cancelled"
    assert subscriber.requests == []


def test_an_attempt_that_overslept_its_claim_changes_nothing(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    subscribe(conn, subscriber.url())
    [delivery_id] = line.ids(line.emit(BODY))
    late = line.claim(delivery_id)
    conn.execute("UPDATE pipeline.deliveries SET claimed_until = now() - interval '1 second'")
    line.claim(delivery_id)

    deliver(conn, delivery_id, attempt=late, destinations=destinations)

    assert line.row(delivery_id) == ("pending", None, None)
    assert subscriber.requests == []


def test_no_transaction_is_open_while_a_subscriber_is_called(
    line: Any, conn: Connection, subscriber: Any, destinations: Destinations
) -> None:
    subscribe(conn, subscriber.url())
    [delivery_id] = line.ids(line.emit(BODY))
    states: list[object] = []
    send = destinations.webhooks.send

    def watched(*arguments: Any, **options: Any) -> Any:
        states.append(conn.info.transaction_status.name)
        return send(*arguments, **options)

    destinations.webhooks.send = watched  # type: ignore[method-assign]
    attempt(line, delivery_id, destinations)

    assert states == ["IDLE"]


def test_an_address_that_became_forbidden_parks(line: Any, conn: Connection, subscriber: Any) -> None:
    subscribe(conn, subscriber.url())
    [delivery_id] = line.ids(line.emit(BODY))
    strict = Destinations(Settings(encryption_keys=KEYS))

    with pytest.raises(SubscriberForbiddenError, match="neither public nor in SUBSCRIBER_PRIVATE_CIDRS"):
        deliver(conn, delivery_id, attempt=line.claim(delivery_id), destinations=strict)

    assert subscriber.connections == 0


def test_a_name_that_leads_inside_is_tried_again_and_counts_for_the_breaker(
    line: Any, conn: Connection, subscriber: Any
) -> None:
    """A resolver that answers wrongly for a minute must not park what is due in that minute."""
    url = f"http://hooks.example:{subscriber.port}/hook"
    add(conn, url, keys=KEYS, private=LOCAL, resolve=lambda _host, _port: ["127.0.0.1"])
    misled = Destinations(
        Settings(encryption_keys=KEYS, subscriber_private_cidrs=LOCAL), resolve=lambda *_: ["10.0.0.1"]
    )

    delivery_id, error = emit_and_attempt(line, misled)

    assert str(error).startswith("subscriber_address: 10.0.0.1 is neither public")
    assert line.row(delivery_id)[0] == "pending"
    assert conn.execute("SELECT failures FROM pipeline.subscriptions").fetchall() == [(1,)]
    assert subscriber.connections == 0


def test_a_secret_of_a_lost_key_parks(line: Any, conn: Connection, subscriber: Any) -> None:
    subscribe(conn, subscriber.url())
    [delivery_id] = line.ids(line.emit(BODY))
    other = Destinations(
        Settings(encryption_keys=KeyRing.parse(KeyRing.generate("k9")), subscriber_private_cidrs=LOCAL)
    )

    with pytest.raises(UnsealError):
        deliver(conn, delivery_id, attempt=line.claim(delivery_id), destinations=other)

    assert subscriber.connections == 0


def test_a_delivery_that_does_not_exist_is_left_alone(conn: Connection, destinations: Destinations) -> None:
    deliver(conn, uuid4(), attempt=1, destinations=destinations)
