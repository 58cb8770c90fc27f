"""Wherever images are kept, and whoever asked for more or only for some events: an erased person is gone from there."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from psycopg import Connection

from deploy import subscriptions
from deploy.commands.erase import command
from deploy.erasure.erase import erase
from deploy.erasure.subject import Subject
from deploy.images.verify import verify
from deploy.retention import run as retention
from deploy.retention.policy import Rule
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from schemas.settings import Settings
from tests.line.byte_search import rows
from tests.line.conftest import Hand
from tests.s3_server import S3Server
from workers.vault.blob import rehouse
from workers.vault.vault import new_key
from workers.vault.vaults import Vaults

NOW = datetime.now(UTC)


class Stores:
    """Images of two people in Postgres, a folder and a bucket in turn, and in each of them what a crash left."""

    def __init__(self, hand: Hand, simulator: Simulator, folder: Path, bucket: dict[str, str]) -> None:
        self.hand, self.conn, self.folder = hand, hand.conn, folder
        self.settings = hand.tools.settings
        self.vaults = Vaults(Settings.load("", bucket))
        self.urls = ("postgres:", f"file://{folder}", self.vaults.home)
        folder.mkdir()
        self.person, self.other = simulator.create(2, outcomes=["passed"])
        for each in (self.person, self.other):
            hand.receive(each.callback(each.status, NOW))
        hand.run_until_idle()
        # Of the person the bucket has only what a crash left.
        for each, among in ((self.person, 2), (self.other, 3)):
            for number, image_id in enumerate(self.ids(each)):
                rehouse(self.conn, image_id, url=self.urls[number % among], vaults=self.vaults, keys=self.settings.keys)
        for url in self.urls:
            left = self.ids(self.person)[0]
            self.vaults.at(url, self.conn).put(new_key(left, attempt=9), b"of an attempt that was killed")
        self.environment = {
            **bucket,
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "BROKER_URL": self.settings.broker_url.get_secret_value(),
        }

    def ids(self, whose: Execution) -> list[UUID]:
        statement = "SELECT id FROM pipeline.images WHERE workflow_key = %s AND state = 'stored' ORDER BY id"
        return [row[0] for row in rows(self.conn, statement, whose.key)]

    def kept(self, ids: list[UUID]) -> list[str]:
        """In which stores there is something of these images."""
        return [url for url in self.urls for each in ids for _ in self.vaults.at(url, self.conn).blobs(each)]

    def erase(self, ring: str) -> Result:
        arguments = ["--workflow", self.person.key, "--reason", "request 4711", "--wait", "0"]
        return CliRunner().invoke(command, arguments, env={**self.environment, "ENCRYPTION_KEYS": ring})


@pytest.fixture
def stores(hand: Hand, simulator: Simulator, s3: S3Server, tmp_path: Path) -> Iterator[Stores]:
    return Stores(hand, simulator, tmp_path / "images", s3.environment)


def test_images_go_from_every_store_and_so_does_what_a_crash_left(stores: Stores, ring: str) -> None:
    ids, others = stores.ids(stores.person), stores.kept(stores.ids(stores.other))
    assert set(stores.kept(ids)) == set(stores.urls)

    erased = stores.erase(ring)

    assert erased.exit_code == 0, erased.output
    assert f"stored images: {len(ids)}" in erased.output
    assert stores.kept(ids) == []
    assert stores.kept(stores.ids(stores.other)) == others != []


def test_what_a_store_that_is_away_keeps_is_said_and_found_as_orphans(stores: Stores, ring: str) -> None:
    ids, away = stores.ids(stores.person), stores.folder.with_name("away")
    stores.folder.rename(away)

    erased = stores.erase(ring)

    assert erased.exit_code == 1
    assert "erased; certificate" in erased.output
    assert f"images verify --delete-orphans --also {stores.urls[1]}" in erased.output
    away.rename(stores.folder)
    assert stores.ids(stores.person) == []
    left = stores.kept(ids)
    assert stores.urls[1] in left
    assert "postgres:" not in left
    hours_ago = (NOW - timedelta(hours=2)).timestamp()
    for path in stores.folder.glob("*/*"):
        os.utime(path, (hours_ago, hours_ago))
    found = list(verify(stores.conn, keys=stores.settings.keys, vaults=stores.vaults, delete_orphans=True))
    assert [each.store for each in found if each.kind == "deleted"] == left[: left.count(stores.urls[1])]
    assert stores.urls[1] not in stores.kept(ids)


def test_retention_deletes_images_from_every_store_and_the_facts_stay(stores: Stores) -> None:
    ids = [*stores.ids(stores.person), *stores.ids(stores.other)]
    rules = [Rule(name, "0 days", "received", 1.0) for name in ("biometric_images", "document_images")]

    deleted = retention.run(stores.conn, rules, vaults=stores.vaults)

    assert sum(deleted.values()) == len(ids)
    assert stores.kept(ids) == []
    states = rows(stores.conn, "SELECT state, reason FROM compliance.images WHERE state = 'deleted'")
    assert states == [("deleted", "retention: kept as long as the policy says")] * len(ids)


def test_retention_deletes_workflows_with_images_from_every_store(stores: Stores) -> None:
    ids = [*stores.ids(stores.person), *stores.ids(stores.other)]

    assert retention.run(stores.conn, [Rule("verdicts", "0 days", "received", 1.0)], vaults=stores.vaults)

    assert rows(stores.conn, "SELECT FROM pipeline.images") == []
    assert stores.kept(ids) == []


def test_whoever_heard_of_it_hears_that_it_is_erased_and_enriched_bodies_go(hand: Hand, simulator: Simulator) -> None:
    for path, outcome in (("passed", "passed"), ("rejected", "rejected")):
        subscribe(hand, path, outcomes=[outcome])
    subscribe(hand, "identity", enrich=["identity"])
    [person] = simulator.create(outcomes=["passed"])
    hand.receive(person.callback(person.status, NOW))
    hand.run_until_idle()
    enriched = "SELECT FROM pipeline.deliveries WHERE sealed_body IS NOT NULL"
    assert rows(hand.conn, enriched)
    # An exchange that the shell of this operator knows nothing of.
    hand.conn.execute("UPDATE pipeline.deliveries SET destination = 'exchange' WHERE destination = 'stream'")

    erase(
        hand.conn,
        Subject("default", "workflow", person.key),
        reason="asked for it",
        keys=hand.tools.settings.keys,
        outlet=hand.tools.outlet,
        vaults=hand.tools.vaults,
    )

    assert rows(hand.conn, enriched) == []
    assert paths_of(hand.conn) == ["exchange", "identity", "passed", "stream"]


def subscribe(hand: Hand, path: str, **options: list[str]) -> None:
    """Nobody is there: what they would get stays."""
    settings = hand.tools.settings
    url = f"http://127.0.0.1:1/{path}"
    wishes = subscriptions.Wishes(**options)
    subscriptions.add(hand.conn, url, wishes, keys=settings.keys, private=settings.subscriber_private_cidrs)


def paths_of(conn: Connection) -> list[str]:
    statement = """
        SELECT event.type, coalesce(split_part(subscription.url, '/', 4), delivery.destination)
        FROM pipeline.deliveries delivery
        JOIN pipeline.events event ON event.id = delivery.event_id
        LEFT JOIN pipeline.subscriptions subscription ON subscription.id = delivery.subscription_id
        ORDER BY 2
    """
    assert {row[0] for row in rows(conn, statement)} == {"kyc.subject.erased.v1"}
    return [row[1] for row in rows(conn, statement)]
