"""The Celery app's every default. Messages are hints: Postgres is the truth, so nothing here must be durable."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from celery import Celery, Task
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default as default_strategy
from kombu import Message

from schemas.settings import Settings

# All that one row asks of Jumio (a token, status, details, steps) is answered in so many seconds or asked again later.
ASKING_SECONDS = 32.0
# Besides: whoever finds a token being renewed may wait 10 s more before it asks, and the database has its share.
SOFT_TIME_LIMIT = 50.0
TIME_LIMIT = 60.0
# How long a worker may hold a row: past the hard time limit it is certainly dead.
CLAIM_SECONDS = 75.0
# How long a message may wait before its row is leased again: what a lost one costs.
LEASE_SECONDS = 30.0

QUEUES = {
    "callbacks": "jumio.process",
    "images": "jumio.images",
    "deliveries": "jumio.deliver",
    "deletions": "jumio.forget",
}
TASKS = {"callbacks": "fetch", "images": "store_image", "deliveries": "deliver", "deletions": "forget"}
PULSE_TASK = "pulse"
PULSE_QUEUE = QUEUES["callbacks"]

_REDIS_SCHEMES = {"redis", "rediss", "redis+socket", "sentinel"}
_REDIS_OPTIONS = {
    # Longer than any task runs; a shorter one would run it twice at once.
    "visibility_timeout": 600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # Without these a half-open connection holds a publish, or the worker's loop, for ever.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 20,
    "global_keyprefix": "jumio:",
}


def build_app(settings: Settings) -> Celery:
    """An app for one process; the relay sends with it, the worker consumes with it."""
    broker_url = settings.broker_url.get_secret_value()
    app = Celery("jumio-pipeline", broker=broker_url, set_as_current=True)
    app.Task.Strategy = f"{__name__}:careful_strategy"
    app.conf.update(
        broker_transport_options=_transport_options(broker_url),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A read-only replica or a full Redis is a channel error: without this the worker exits.
        broker_channel_error_retry=True,
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=SOFT_TIME_LIMIT,
        task_time_limit=TIME_LIMIT,
        task_publish_retry=False,
        task_default_queue=PULSE_QUEUE,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_max_tasks_per_child=1000,
        worker_max_memory_per_child=400_000,
        worker_soft_shutdown_timeout=25,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_proc_alive_timeout=30,
    )
    return app


def careful_strategy(task: "Task[..., object]", app: Celery, consumer: Any, **options: Any) -> Callable[..., Any]:  # noqa: ANN401
    """Celery's own way to take a message, but one that is no call is discarded.

    Unpacking it would end the worker, and then the next one, because it goes back to the queue.
    """
    take = default_strategy(task, app, consumer, **options)

    def take_if_call(message: Message, body: object, *rest: Any) -> Any:  # noqa: ANN401
        match message.payload:
            case [list(), dict(), dict()]:
                return take(message, body, *rest)
            case _:
                raise InvalidTaskError("the body is no call")

    return take_if_call


def _transport_options(broker_url: str) -> dict[str, Any]:
    if urlsplit(broker_url).scheme in _REDIS_SCHEMES:
        return _REDIS_OPTIONS
    return {"confirm_publish": True}
