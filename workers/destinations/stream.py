"""Events on a Redis stream, for consumers inside; Postgres has them all, the stream the latest."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, ClassVar
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
# A megabyte or so at a time.
_PAGE = 1000
_REWRITE = files("workers.destinations").joinpath("rewrite_stream.lua").read_text(encoding="utf-8")
ERASED = "kyc.subject.erased.v1"
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
        if event.replays:
            fields["replays"] = str(event.replays)
        try:
            self._redis.xadd(self._name, fields, maxlen=_LONGEST_STREAM, approximate=True)  # type: ignore[arg-type]
        except (RedisError, OSError) as error:
            raise StreamAwayError(type(error).__name__) from error

    def remove(self, *, tenant: str, subject: str) -> int:
        """Take off all entries about a subject but the one that tells of its erasure; how many. Raises StreamAwayError.

        No command shows them any more; their bytes go with the rest of their node, when the stream is trimmed, or
        at once by `rewrite`.
        """
        if self._redis is None:
            return 0
        removed, start = 0, "-"
        try:
            while entries := self._page(start):
                ids = [entry_id for entry_id, fields in entries if _is_about(fields, tenant, subject)]
                removed += int(self._redis.xdel(self._name, *ids)) if ids else 0
                start = f"({entries[-1][0].decode()}"
        except (RedisError, OSError) as error:
            raise StreamAwayError(type(error).__name__) from error
        return removed

    def rewrite(self) -> None:
        """Write the stream anew, without the bytes of what was taken off. Raises StreamAwayError.

        XDEL only marks: an entry's bytes stay in its node until the whole node goes. Ids, groups and what is pending
        stay as they are. The file that Redis appends to, where there is one, is rewritten after it.
        """
        if self._redis is None:
            return
        try:
            after = "-"
            while after != "done":
                answer: Any = self._redis.eval(_REWRITE, 2, self._name, _in_same_slot(self._name), after, _PAGE)
                text = answer.decode()
                after = {"done": "done", "again": "-"}.get(text, f"({text}")
            persistence: Any = self._redis.info("persistence")
            if persistence["aof_enabled"] and not persistence["aof_rewrite_in_progress"]:
                self._redis.bgrewriteaof()
        except (RedisError, OSError) as error:
            raise StreamAwayError(type(error).__name__) from error

    def _page(self, start: str) -> Sequence[tuple[bytes, Mapping[bytes, bytes]]]:
        found: Any = self._redis.xrange(self._name, min=start, count=_PAGE) if self._redis else []
        return [(entry_id, fields) for entry_id, fields in found if fields is not None]

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()


def _in_same_slot(name: str) -> str:
    """Of a cluster: both keys of a script must be on one server."""
    return f"{name}:rewritten" if "{" in name else f"{{{name}}}:rewritten"


def _is_about(fields: Mapping[bytes, bytes], tenant: str, subject: str) -> bool:
    return (fields.get(b"tenant"), fields.get(b"subject")) == (tenant.encode(), subject.encode()) and fields.get(
        b"type"
    ) != ERASED.encode()


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
