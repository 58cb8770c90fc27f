"""Celery as it was decided: a message is a hint, and a bad one neither runs nor ends the worker."""

import os
import pickle
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu import Connection as Broker
from kombu import Exchange, Queue
from psycopg import Connection

from deploy.commands.worker import celery_arguments
from schemas.sealing import KeyRing
from schemas.settings import Settings, inherited_environment
from workers.broker import PULSE_QUEUE, PULSE_TASK, QUEUES, TASKS, build_app

ROOT = Path(__file__).parents[2]
PLANTED = "PLANTED-7431"


def settings_for(broker_url: str) -> Settings:
    return Settings.load("relay", {"DATABASE_URL": "postgresql://x", "BROKER_URL": broker_url})


@pytest.fixture
def app() -> Celery:
    return build_app(settings_for("redis://redis.example/0"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", True),
        ("task_ignore_result", True),
        ("task_store_errors_even_if_ignored", False),
        ("result_backend", None),
        ("task_serializer", "json"),
        ("accept_content", ["json"]),
        ("worker_prefetch_multiplier", 1),
        ("task_publish_retry", False),
        ("task_default_queue", PULSE_QUEUE),
        ("task_soft_time_limit", 50.0),
        ("task_time_limit", 60.0),
        ("worker_hijack_root_logger", False),
        ("worker_send_task_events", False),
        ("broker_connection_max_retries", None),
        ("broker_channel_error_retry", True),
        ("beat_schedule", {}),
        ("task_always_eager", False),
    ],
)
def test_a_default_is_as_it_was_decided(app: Celery, name: str, value: object) -> None:
    assert app.conf[name] == value


def test_every_table_has_a_queue_and_a_task_of_its_own() -> None:
    assert set(QUEUES) == set(TASKS) == {"callbacks", "images", "deliveries", "deletions"}
    assert len(set(QUEUES.values())) == len({*TASKS.values(), PULSE_TASK}) - 1 == 4


@pytest.mark.parametrize("url", ["redis://h/0", "rediss://h/0", "redis+socket:///run/redis.sock", "sentinel://h"])
def test_redis_gets_deadlines_and_a_visibility_timeout(url: str) -> None:
    options = build_app(settings_for(url)).conf.broker_transport_options

    assert options["visibility_timeout"] == 600
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5, 2)
    assert options["global_keyprefix"] == "jumio:"


@pytest.mark.parametrize("url", ["amqp://h//", "amqps://h//", "sqs://"])
def test_another_broker_gets_no_options_of_redis(url: str) -> None:
    assert build_app(settings_for(url)).conf.broker_transport_options == {"confirm_publish": True}


class Worker:
    """A real worker, its log, and the broker and database that it is at."""

    def __init__(self, environment: dict[str, str], log: Path, conn: Connection) -> None:
        self.settings = Settings.load("worker", environment)
        self.log, self.conn = log, conn
        self.app = build_app(self.settings)
        with log.open("w") as output:
            self.process = subprocess.Popen(
                celery_arguments(self.settings), cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    def pulses(self) -> bool:
        """Whether a task of its own, sent now, is done in time."""
        self.conn.execute("DELETE FROM pipeline.pulses")
        self.app.send_task(PULSE_TASK, queue=PULSE_QUEUE)
        return wait_for(lambda: self.conn.execute("SELECT FROM pipeline.pulses WHERE role = 'worker'").fetchall())

    def idle(self) -> bool:
        """Whether nothing waits, and nothing is held back to be delivered again."""
        with redis.Redis.from_url(self.settings.broker_url.get_secret_value()) as client:
            return wait_for(
                lambda: (
                    not any(client.llen("jumio:" + queue) for queue in QUEUES.values())
                    and not client.exists("jumio:unacked")
                )
            )

    def push(self, body: bytes, **properties: Any) -> None:
        """A message as no relay of ours sends it."""
        with Broker(
            self.settings.broker_url.get_secret_value(), transport_options={"global_keyprefix": "jumio:"}
        ) as to:
            queue = Queue(PULSE_QUEUE, Exchange(PULSE_QUEUE), routing_key=PULSE_QUEUE)
            producer = to.Producer()
            producer.publish(body, exchange=queue.exchange, routing_key=PULSE_QUEUE, declare=[queue], **properties)

    def stop(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)


def wait_for(condition: Callable[[], object], seconds: float = 25) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def worker(conn: Connection, database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Worker]:
    with redis.Redis.from_url(broker_url) as client:
        client.flushall()
        environment = {
            **inherited_environment(),
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "ENCRYPTION_KEYS": KeyRing.generate(),
            "JUMIO_CLIENT_ID": "client",
            "JUMIO_CLIENT_SECRET": "secret",
            "JUMIO_USER_AGENT": "Acme Kyc/1.0",
            "WORKER_PROCESSES": "1",
            "LOG_FORMAT": "json",
        }
        running = Worker(environment, tmp_path / "worker.log", conn)
        yield running
        running.stop()
        client.flushall()


class Trap:
    """What runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_message_that_is_not_ours_neither_runs_nor_ends_the_worker(worker: Worker, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    task = {"task": "fetch", "id": "1", "lang": "py"}
    assert worker.pulses(), worker.log.read_text()

    pickled = pickle.dumps([[Trap(trap)], {}, {}])
    worker.push(pickled, content_type="application/x-python-serialize", content_encoding="binary", headers=task)
    worker.push(
        b"not json " + PLANTED.encode(), content_type="application/json", content_encoding="utf-8", headers=task
    )
    worker.push(b'{"%s": 1}' % PLANTED.encode(), content_type="application/json", content_encoding="utf-8")
    for body in (b"[]", b"7", b'"text"', b"[1, 2, 3]", b"[[], {}]"):
        worker.push(body, content_type="application/json", content_encoding="utf-8", headers=task)
    worker.app.send_task("os.system", args=[PLANTED], queue=PULSE_QUEUE)
    worker.app.send_task(TASKS["callbacks"], args=["no row"], queue=QUEUES["callbacks"])
    worker.app.send_task(TASKS["callbacks"], args=["no row", PLANTED], queue=QUEUES["callbacks"])
    worker.app.send_task(TASKS["images"], kwargs={PLANTED: PLANTED}, queue=QUEUES["images"])
    worker.app.send_task(TASKS["deliveries"], args=[{"no": "row"}], queue=QUEUES["deliveries"])

    assert worker.pulses(), worker.log.read_text()
    assert worker.idle(), worker.log.read_text()
    assert worker.process.poll() is None
    assert not trap.exists()
    assert PLANTED not in worker.log.read_text()


def test_a_task_for_a_row_that_is_gone_does_nothing(worker: Worker) -> None:
    for table in QUEUES:
        worker.app.send_task(TASKS[table], args=["0198c0de-0000-7000-8000-000000000001"], queue=QUEUES[table])

    assert worker.pulses(), worker.log.read_text()
    assert worker.idle()
    assert '"level": "error"' not in worker.log.read_text()
