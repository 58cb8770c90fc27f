"""Events on a Redis stream, for consumers inside; Postgres has them all, the stream the latest."""

from typing import ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from schemas.settings import Settings
from workers.destinations.destination import Event
from workers.errors import StreamAwayError

# About a hundred megabytes of thin events: days of them for a consumer to catch up with.
_LONGEST_STREAM = 100_000
_REDIS_SCHEMES = frozenset({"redis", "rediss", "unix", "redis+socket"})
# Celery writes these names in the broker's URL, redis-py knows them in its own form.
_CERT_REQS = {"CERT_REQUIRED": "required", "CERT_OPTIONAL": "optional", "CERT_NONE": "none"}


class EventStream:
    """The stream of one process; connects at the first event."""

    name: ClassVar[str] = "stream"

    def __init__(self, settings: Settings) -> None:
        self._name = settings.event_stream
        self._redis = _client(settings.broker_url.get_secret_value()) if self.enabled(settings) else None

    @staticmethod
    def enabled(settings: Settings) -> bool:
        """It has a name and the broker is Redis or Valkey."""
        scheme = urlsplit(settings.broker_url.get_secret_value()).scheme
        return bool(settings.event_stream) and scheme in _REDIS_SCHEMES

    def put(self, event: Event) -> None:
        """Append one event. Raises StreamAwayError; an event may then be on the stream all the same."""
        if self._redis is None:
            raise StreamAwayError("EVENT_STREAM is empty or BROKER_URL is not Redis, so there is no stream")
        fields = {
            "id": event.id,
            "type": event.type,
            "subject": event.workflow_key,
            "sequence": str(event.sequence),
            "tenant": event.tenant,
            "body": event.body,
        }
        try:
            self._redis.xadd(self._name, fields, maxlen=_LONGEST_STREAM, approximate=True)  # type: ignore[arg-type]
        except (RedisError, OSError) as error:
            raise StreamAwayError(type(error).__name__) from error

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()


def _client(broker_url: str) -> Redis:
    return Redis.from_url(
        redis_url(broker_url),
        # As for the broker itself: a half-open connection must not hold a worker.
        socket_timeout=5,
        socket_connect_timeout=2,
        health_check_interval=20,
        # redis-py's own ten attempts would outlast the task; the row's schedule is the retry.
        retry=Retry(ExponentialWithJitterBackoff(), 1),
    )


def redis_url(broker_url: str) -> str:
    """The broker's URL in the words of redis-py, where Celery's differ."""
    parts = urlsplit(broker_url)
    scheme, options = parts.scheme, dict(parse_qsl(parts.query))
    if scheme == "redis+socket":
        scheme, options["db"] = "unix", options.pop("virtual_host", "0")
    if "ssl_cert_reqs" in options:
        options["ssl_cert_reqs"] = _CERT_REQS.get(options["ssl_cert_reqs"], options["ssl_cert_reqs"])
    # Not urlunsplit: it drops the empty host of unix:///path.
    return f"{scheme}://{parts.netloc}{parts.path}?{urlencode(options)}"
