"""One question to Jumio -> its answer within limits of time and size, or an error that says what to do."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Literal

import httpx2

from workers.errors import JumioAnswerError, JumioAwayError, JumioNotFoundError, JumioRefusedError, TooLargeError
from workers.jumio.deadline import DeadlineTransport, within

# A slow reading takes Jumio about a second; 15 without a byte means that nothing comes any more.
TIMEOUTS = httpx2.Timeout(connect=5.0, read=15.0, write=10.0, pool=5.0)
# A worker is held this long at most by one question, however slowly the bytes come; an image of 16 MiB still fits.
TOTAL_SECONDS = 30.0
DOCUMENT_BYTES = 8 * 1_048_576  # details are about 13 KiB: room for any future one, none for a bomb
IMAGE_BYTES = 16 * 1_048_576  # docs.jumio.com: uploads of up to 15 MB are allowed
TOKEN_BYTES = 64 * 1024
# A longer wish would put a workflow off by more than the whole of Jumio's own schedule (retrieval guide).
LONGEST_WISH_SECONDS = 3600.0
# The two below 500 that say nothing against the question itself.
_AWAY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})


@dataclass(frozen=True, repr=False)
class Answer:
    """A status and, where it is 200, the bytes that came with it."""

    status: int
    body: bytes = b""
    retry_after: float | None = None

    @property
    def is_away(self) -> bool:
        """It says nothing against the question itself: worth another try."""
        return self.status in _AWAY or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


Method = Literal["GET", "DELETE"]


class Http:
    """The HTTP client of one process. Made after the fork: children must not share a TLS connection."""

    def __init__(self, *, total_seconds: float = TOTAL_SECONDS, verify: ssl.SSLContext | bool = True) -> None:
        self._total_seconds = total_seconds
        self._client = httpx2.Client(
            transport=DeadlineTransport(verify=verify),
            timeout=TIMEOUTS,
            follow_redirects=False,
            trust_env=False,
            # Tenants share the client: what one is told to remember is none of the other's business.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def ask(
        self,
        url: str,
        *,
        asked: str,
        headers: Mapping[str, str],
        at_most: int,
        form: Mapping[str, str] | None = None,
        seconds: float = TOTAL_SECONDS,
        method: Method = "GET",
    ) -> Answer:
        """The method, or POST where there is a form. `asked` names the question in errors, which never show the URL.

        Raises JumioAwayError or JumioAnswerError; every status is an answer, of which only 200 is read.
        """
        verb = method if form is None else "POST"
        headers = {**headers, "Accept-Encoding": "identity"}  # a small bomb inflates before it can be counted
        try:
            with (
                within(min(seconds, self._total_seconds)),
                self._client.stream(verb, url, headers=headers, data=form) as response,
            ):
                if response.status_code != HTTPStatus.OK:
                    return Answer(response.status_code, retry_after=read_wish(response.headers.get("retry-after")))
                return Answer(response.status_code, _read(response, asked=asked, at_most=at_most))
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise JumioAwayError(asked, _names(error)) from None

    def close(self) -> None:
        self._client.close()


def require_ok(answer: Answer, *, asked: str) -> bytes:
    """The body of a 200. Raises the error that every other status means."""
    status = answer.status
    if status == HTTPStatus.OK:
        return answer.body
    if status == HTTPStatus.NOT_FOUND:
        raise JumioNotFoundError(asked, f"answered {status}")
    if answer.is_away:
        wish = () if answer.retry_after is None else (answer.retry_after,)
        raise JumioAwayError(asked, f"answered {status}", *wish)
    if status < HTTPStatus.BAD_REQUEST:
        raise JumioAnswerError(asked, f"answered {status}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        hint = "check JUMIO_USER_AGENT, JUMIO_REGION and that the credential in Jumio's portal may retrieve"
        raise JumioRefusedError(asked, f"answered {status}", hint)
    raise JumioRefusedError(asked, f"answered {status}", "Jumio does not take the question: report it with this line")


def read_wish(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, in either of its forms; None where it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WISH_SECONDS)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WISH_SECONDS)


def _read(response: httpx2.Response, *, asked: str, at_most: int) -> bytes:
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise JumioAnswerError(asked, "came in an encoding that was not asked for")
    body = bytearray()
    try:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > at_most:
                # An image stays as large as it is; a document that grew without end is a fault that may pass.
                kind = TooLargeError if asked == "image" else JumioAnswerError
                raise kind(asked, f"is larger than {at_most} bytes")
    except httpx2.RemoteProtocolError as error:
        raise JumioAnswerError(asked, "broke off", _names(error)) from None
    return bytes(body)


def _names(error: BaseException) -> str:
    """Classes only, with the one below that tells a bad certificate from a closed port; texts may hold the URL."""
    cause: BaseException = error
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    return type(error).__name__ if cause is error else f"{type(error).__name__} from {type(cause).__name__}"
