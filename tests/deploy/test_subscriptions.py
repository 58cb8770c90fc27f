"""Subscribers come and go: what is refused, what is kept, and what is cancelled."""

import stat
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection

from deploy.deliveries import Chosen, replay
from deploy.signing_secrets import read_or_create_secret_file, rotate_secret
from deploy.subscriptions import Added, SubscriptionError, Wishes, add, list_all, pause, remove, resume
from schemas.events.signing import new_secret, read_secret
from schemas.sealing import KeyRing, UnsealError
from tests.workers.conftest import Line

KEYS = KeyRing.parse(KeyRing.generate())
LOCAL = (ip_network("127.0.0.0/8"),)


def public(_host: str, _port: int) -> Sequence[str]:
    return ["34.202.241.227"]


def subscribe(conn: Connection, url: str = "https://hooks.example/in", **options: Any) -> Added:
    return add(conn, url, **{"keys": KEYS, "private": (), "resolve": public, **options})


def test_a_new_subscription_is_listed(conn: Connection) -> None:
    added = subscribe(conn, wishes=Wishes(types=["kyc.workflow.decided.v1"]))

    [listed] = list_all(conn)
    assert (listed.id, listed.url) == (added.id, "https://hooks.example/in")
    assert listed.types == ["kyc.workflow.decided.v1"]
    assert (listed.pending, listed.parked, listed.delivered) == (0, 0, 0)
    assert added.generated
    assert len(read_secret(added.secret)) == 32


def test_a_secret_is_kept_sealed_for_its_own_row(conn: Connection) -> None:
    given = new_secret()

    added = subscribe(conn, secret=given)

    assert (added.secret, added.generated) == (given, False)
    [[sealed]] = conn.execute("SELECT sealed_secret FROM pipeline.subscriptions").fetchall()
    assert given.encode() not in sealed
    assert KEYS.unseal(sealed, place=f"subscriptions.sealed_secret/{added.id}") == given.encode()
    with pytest.raises(UnsealError):
        KEYS.unseal(sealed, place=f"subscriptions.sealed_secret/{uuid4()}")


@pytest.mark.parametrize(
    ("url", "options", "complaint"),
    [
        ("ftp://hooks.example/", {}, "not a plain https URL"),
        ("https://user:word@hooks.example/", {}, "not a plain https URL"),
        ("http://hooks.example/", {}, "http is for SUBSCRIBER_PRIVATE_CIDRS only"),
        ("https://127.0.0.1/", {"resolve": lambda *_: ["127.0.0.1"]}, "127.0.0.1 is neither public nor"),
        ("https://hooks.example/", {"resolve": lambda *_: ["8.8.8.8", "10.0.0.1"]}, "10.0.0.1 is neither public"),
        (
            "https://hooks.example/",
            {"wishes": Wishes(types=["kyc.workflow.decided"])},
            "there are: kyc.workflow.decided.v1, ",
        ),
        ("https://hooks.example/", {"secret": "hunter2"}, "begins with whsec_"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(
    conn: Connection, url: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SubscriptionError, match=complaint):
        subscribe(conn, url, **options)

    assert list_all(conn) == []


def test_a_name_that_does_not_resolve_is_refused(conn: Connection) -> None:
    def nowhere(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(SubscriptionError, match="does not resolve"):
        subscribe(conn, resolve=nowhere)


def test_http_is_for_listed_private_addresses(conn: Connection) -> None:
    subscribe(conn, "http://127.0.0.1:8080/hook", private=LOCAL, resolve=lambda *_: ["127.0.0.1"])

    assert [each.url for each in list_all(conn)] == ["http://127.0.0.1:8080/hook"]


def test_the_same_url_twice_is_refused_however_it_is_typed(conn: Connection) -> None:
    subscribe(conn, "https://hooks.example/in")

    with pytest.raises(SubscriptionError, match="subscribed already"):
        subscribe(conn, "HTTPS://HOOKS.example:443/in")


def test_a_removed_url_can_come_back(conn: Connection) -> None:
    first = subscribe(conn)
    remove(conn, str(first.id))

    second = subscribe(conn)

    assert [each.id for each in list_all(conn)] == [second.id]


@pytest.mark.parametrize("named", ["id", "url"])
def test_removing_cancels_what_waits(conn: Connection, named: str) -> None:
    line = Line(conn)
    added = subscribe(conn)
    stays = subscribe(conn, "https://other.example/")
    line.emit("{}", stream=True)
    line.emit("{}")
    assert [(each.id, each.pending) for each in list_all(conn)] == [(added.id, 2), (stays.id, 2)]

    cancelled = remove(conn, str(added.id) if named == "id" else "https://HOOKS.example:443/in")

    assert cancelled == 2
    assert [(each.id, each.pending) for each in list_all(conn)] == [(stays.id, 2)]


def test_who_gets_events_is_told_to_the_audit_trail(conn: Connection) -> None:
    added = subscribe(conn, "https://hooks.example/a-secret-path", wishes=Wishes(enrich=["identity"]))
    assert [pause(conn, str(added.id)) for _ in range(2)] == [True, False]
    resume(conn, str(added.id))
    rotate_secret(conn, str(added.id), keys=KEYS, path=None, ed25519=False, seconds=60)
    replay(conn, Chosen(subscription_id=added.id))
    remove(conn, str(added.id))

    told = conn.execute(b"SELECT action, details FROM compliance.audit_trail ORDER BY number").fetchall()
    about = {"subscription": str(added.id)}
    assert told == [
        ("subscription.changed", {"change": "added", "host": "hooks.example", "enrich": "identity", **about}),
        ("subscription.changed", {"change": "paused", **about}),
        ("subscription.changed", {"change": "resumed", **about}),
        ("subscription.changed", {"change": "rotated", "old_signs_seconds": 60, **about}),
        ("subscription.changed", {"change": "replayed", "deliveries": 0, **about}),
        ("subscription.changed", {"change": "removed", **about}),
    ]


def test_what_is_not_there_cannot_be_removed(conn: Connection) -> None:
    added = subscribe(conn)
    remove(conn, str(added.id))

    for unknown in (str(added.id), str(uuid4()), "https://hooks.example/in", "nonsense", ""):
        with pytest.raises(SubscriptionError, match="subscriptions list"):
            remove(conn, unknown)


def test_a_secret_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    secret, made = read_or_create_secret_file(path)

    assert made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_create_secret_file(path) == (secret, False)


@pytest.mark.parametrize("content", ["", "hunter2", "whsec_", "ü"])
def test_a_file_without_a_secret_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(SubscriptionError):
        read_or_create_secret_file(path)

    assert path.read_text(encoding="utf-8") == content


def test_a_file_that_cannot_be_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SubscriptionError, match="No such file or directory"):
        read_or_create_secret_file(tmp_path / "nowhere" / "secret")
    with pytest.raises(SubscriptionError, match="cannot be read: IsADirectoryError"):
        read_or_create_secret_file(tmp_path)
