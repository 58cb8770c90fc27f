"""The example consumer beside a running line: a gap, a repeat, a forgery, and being away, each planted."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from psycopg import Connection

from deploy import consumers, subscriptions
from deploy.signing_secrets import read_or_create_secret_file
from deploy.simulator.run import Simulator
from schemas.events.signing import new_secret, sign
from tests.feed.conftest import serving
from tests.line.conftest import Hand
from tests.line.test_steps import callback

ROOT = Path(__file__).parents[2]


@dataclass
class Consumer:
    """The example as a process, which can be stopped and started again, and what it says of itself."""

    folder: Path
    feed: str
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [
            sys.executable,
            "-m",
            "deploy.consumer",
            "--feed",
            self.feed,
            "--bind",
            "127.0.0.1:0",
            "--every",
            "30",
        ]
        for option in ("secret-file", "token-file", "data"):
            command += [f"--{option}", str(self.folder / option)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                self.url = process.stdout.readline().removeprefix("ready ").strip()
                yield
            finally:
                process.terminate()

    def state(self) -> dict[str, Any]:
        return dict(httpx2.get(self.url.replace("/events", "/state"), trust_env=False).json())

    def applied(self, key: str) -> list[tuple[int, str]]:
        """Sequences of a workflow, and whence each came."""
        rows = self.state()["applied"]
        return [(row["sequence"], row["via"]) for row in rows if row["workflow"] == f"default/kyx/{key}"]

    def settles(self, key: str, expected: list[tuple[int, str]]) -> bool:
        deadline = time.monotonic() + 10
        while self.applied(key) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.applied(key) == expected
        return True


@pytest.fixture
def consumer(conn: Connection, hand: Hand, tmp_path: Path, database_url: str) -> Iterator[Consumer]:
    """With a secret and a token, and the feed beside it; not running yet."""
    with serving(tmp_path, database_url) as feed:
        read_or_create_secret_file(tmp_path / "secret-file")
        consumers.write_token(consumers.add(conn, "example"), tmp_path / "token-file")
        yield Consumer(tmp_path, feed)


Decide = Callable[[], str]


@pytest.fixture
def decide(hand: Hand, simulator: Simulator) -> Decide:
    """A workflow is decided and its images are stored: two events, whose deliveries wait. Its key."""

    def decide() -> str:
        [execution] = simulator.create(outcomes=["passed"])
        hand.work("callbacks", hand.receive(callback(execution))).run(hand.conn)
        while due := hand.due("images"):
            for image_id in due:
                hand.work("images", image_id).run(hand.conn)
        return execution.key

    return decide


def test_a_gap_is_filled_a_repeat_taken_once_and_a_forgery_refused(
    consumer: Consumer, decide: Decide, hand: Hand
) -> None:
    with consumer.running():
        subscribe(hand, consumer)
        a_gap_is_filled_from_the_feed(consumer, decide, hand)
        a_repeat_is_taken_once(consumer, decide, hand)
        a_trial_is_acknowledged_and_passed_over(consumer)
        a_forgery_is_refused(consumer, hand)


def a_gap_is_filled_from_the_feed(consumer: Consumer, decide: Decide, hand: Hand) -> None:
    whole, cut = decide(), decide()
    lost = hand.conn.execute(
        "UPDATE pipeline.deliveries SET state = 'cancelled', finished_at = now() WHERE workflow_key = %s"
        " AND sequence = 1 AND destination = 'webhook'",
        [cut],
    )

    hand.run_until_idle()

    assert lost.rowcount == 1
    assert consumer.settles(cut, [(1, "feed"), (2, "webhook")])
    assert [sequence for sequence, _ in consumer.applied(whole)] == [1, 2]
    assert consumer.state()["held"] == 0


def a_trial_is_acknowledged_and_passed_over(consumer: Consumer) -> None:
    body = json.dumps({"id": "trial", "type": "kyc.subscription.test.v1", "data": {}}).encode()
    secret, now = (consumer.folder / "secret-file").read_text().strip(), int(time.time())
    signature = sign(secret, "trial", now, body)
    headers = {"webhook-id": "trial", "webhook-timestamp": str(now), "webhook-signature": signature}
    before = consumer.state()["applied"]

    assert httpx2.post(consumer.url, content=body, headers=headers, trust_env=False).status_code == 204
    assert consumer.state()["applied"] == before


def a_repeat_is_taken_once(consumer: Consumer, decide: Decide, hand: Hand) -> None:
    key = decide()
    hand.run_until_idle()
    before = consumer.state()["repeats"]
    hand.conn.execute(
        "UPDATE pipeline.deliveries SET state = 'pending', finished_at = NULL WHERE workflow_key = %s", [key]
    )

    hand.run_until_idle()

    assert consumer.applied(key) == [(1, "webhook"), (2, "webhook")]
    assert consumer.state()["repeats"] == before + 2


def a_forgery_is_refused(consumer: Consumer, hand: Hand) -> None:
    event_id, body = hand.conn.execute("SELECT id::text, body FROM pipeline.events WHERE sequence = 1").fetchall()[0]
    before = consumer.state()["applied"]
    forged = body.replace('"outcome":"passed"', '"outcome":"rejected"').replace(event_id, str(UUID(int=1))).encode()
    secret, now = (consumer.folder / "secret-file").read_text().strip(), int(time.time())

    for signature in (sign(new_secret(), event_id, now, forged), sign(secret, event_id, now, body.encode())):
        headers = {"webhook-id": event_id, "webhook-timestamp": str(now), "webhook-signature": signature}
        assert httpx2.post(consumer.url, content=forged, headers=headers, trust_env=False).status_code == 401

    state = consumer.state()
    assert (state["forged"], state["applied"]) == (2, before)


def test_who_was_away_catches_up_by_itself_in_order(consumer: Consumer, decide: Decide, hand: Hand) -> None:
    first = decide()
    with consumer.running():
        assert consumer.settles(first, [(1, "feed"), (2, "feed")])
    second = decide()

    with consumer.running():
        assert consumer.settles(second, [(1, "feed"), (2, "feed")])
        assert consumer.applied(first) == [(1, "feed"), (2, "feed")]


def subscribe(hand: Hand, consumer: Consumer) -> None:
    settings = hand.tools.settings
    private, secret = settings.subscriber_private_cidrs, (consumer.folder / "secret-file").read_text().strip()
    subscriptions.add(hand.conn, consumer.url, keys=settings.keys, private=private, secret=secret)
