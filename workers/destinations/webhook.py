"""One signed POST to a subscriber: one connection, one request, one deadline; the status decides."""

import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import httpcore2

from schemas.events.envelope import CONTENT_TYPE
from schemas.events.signing import sign
from schemas.settings import Network
from workers.destinations.egress import Endpoint, GuardedBackend, Resolve
from workers.destinations.resolver import resolve
from workers.errors import SubscriberAwayError

# What Svix gives its hosted customers' endpoints; well inside a task's time limit.
DEADLINE_SECONDS = 15.0
# An answer is for whoever debugs the subscriber; nothing here reads it.
_MOST_ANSWER_BYTES = 65_536
# A subscriber that asks for more than a day has been given up by then all the same.
_LONGEST_RETRY_AFTER = 86_400.0
# Only on what an operator sent again: it may come after later events of its workflow.
REPLAY_HEADER = "jumio-pipeline-replay"
_USER_AGENT = f"jumio-pipeline/{version('jumio-pipeline')}"
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Answer:
    """What a subscriber said; the rest of its answer is of no interest."""

    status: int
    retry_after: float | None

    @property
    def taken(self) -> bool:
        """2xx and nothing else: a redirect could lead anywhere."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers

    @property
    def gone(self) -> bool:
        """Standard Webhooks: a subscriber that answers 410 wants no more events."""
        return self.status == 410  # noqa: PLR2004 - HTTP's own number


class Webhooks:
    """Sends events to subscribers. httpcore2 itself: nothing in it follows redirects or reads proxies and netrc."""

    def __init__(
        self,
        *,
        private: Sequence[Network],
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._private = private
        self._tls = tls or httpcore2.default_ssl_context()
        self._resolve = resolve
        self._seconds = seconds

    @property
    def seconds(self) -> float:
        """The longest that sending one event takes."""
        return self._seconds

    def send(
        self,
        url: str,
        *,
        secrets: Sequence[str],
        event_id: str,
        body: bytes,
        replays: int = 0,
        deadline: float | None = None,
    ) -> Answer:
        """Sign with each secret and send, by the deadline at the latest if there is one (of time.monotonic).

        Raises SubscriberAwayError where no status came, SubscriberAddressError, SubscriberForbiddenError.
        """
        deadline = time.monotonic() + self._seconds if deadline is None else deadline
        endpoint = Endpoint.read(url)
        headers = _headers(endpoint, secrets=secrets, event_id=event_id, body=body)
        if replays:
            headers[REPLAY_HEADER] = str(replays)
        try:
            return self._post(endpoint, headers, body, deadline)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise SubscriberAwayError(*_names(error)) from error

    def _post(
        self, endpoint: Endpoint, headers: dict[bytes | str, bytes | str], body: bytes, deadline: float
    ) -> Answer:
        backend = GuardedBackend(endpoint, private=self._private, deadline=deadline, resolve=self._resolve)
        url = httpcore2.URL(scheme=endpoint.scheme, host=endpoint.host, port=endpoint.port, target=endpoint.target)
        with (
            httpcore2.HTTPConnection(url.origin, ssl_context=self._tls, network_backend=backend) as connection,
            connection.stream("POST", url, headers=headers, content=body) as response,
        ):
            _drain(response)
            return Answer(response.status, _retry_after(response.headers))


def _headers(
    endpoint: Endpoint, *, secrets: Sequence[str], event_id: str, body: bytes
) -> dict[bytes | str, bytes | str]:
    timestamp = int(time.time())
    return {
        "host": endpoint.authority,
        "user-agent": _USER_AGENT,
        "accept-encoding": "identity",
        "connection": "close",
        "content-type": CONTENT_TYPE,
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, event_id, timestamp, body) for secret in secrets),
    }


def _drain(response: httpcore2.Response) -> None:
    """Let a polite subscriber finish; what goes wrong after the status does not change it."""
    read = 0
    try:
        for part in response.iter_stream():
            read += len(part)
            if read >= _MOST_ANSWER_BYTES:
                return
    except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError):
        return


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    text = next((value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"), "")
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
        # A date without a zone is UTC: HTTP knows no other.
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        # What a subscriber writes there must not make of its answer one that never came.
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _names(error: BaseException) -> list[str]:
    """The classes from what httpcore2 calls it down to the cause: texts may quote what was sent."""
    names: list[str] = []
    current: BaseException | None = error
    while current is not None:
        names.append(type(current).__name__)
        current = current.__cause__
    return list(dict.fromkeys(names))
