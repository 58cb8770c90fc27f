"""Ids of a KYX workflow -> what Jumio's retrieval API says about it. URLs are made here, never taken from an answer."""

import time
from collections.abc import Mapping
from contextlib import nullcontext
from http import HTTPStatus
from typing import Any

from psycopg import Connection

from schemas.callbacks.callback import is_id
from schemas.settings import Tenant
from workers.errors import JumioAwayError, JumioNotFoundError, JumioRefusedError, UnreadableError
from workers.jumio.breaker import Breaker
from workers.jumio.budget import Budget, Use
from workers.jumio.kyx import CLASSIFIER
from workers.jumio.lenient import read_object
from workers.jumio.token import AccessToken, Tokens
from workers.jumio.transport import DOCUMENT_BYTES, IMAGE_BYTES, Answer, Http, Method, require_ok

JSON = "application/json"
IMAGE = "image/jpeg, image/png"
_STILL_REFUSED = "with a new token as well: check the credential and its permissions in Jumio's portal"
# What another worker takes to drop a token that it was refused with.
_OTHERS_NOTICE_SECONDS = 0.3
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Caller:
    """Asks in turn and takes note of how it went: breaker, budget, question, breaker again.

    Without a budget or a breaker it is a client on its own, as in a test.
    """

    def __init__(self, http: Http, budget: Budget | None, breaker: Breaker | None) -> None:
        self._http = http
        self._budget = budget
        self._breaker = breaker

    def admit(self, conn: Connection) -> None:
        """Once a row, before its token is asked for: a probe comes to nothing if others renew tokens meanwhile."""
        if self._breaker:
            self._breaker.admit(conn)

    def ask(
        self,
        conn: Connection,
        url: str,
        *,
        asked: str,
        headers: Mapping[str, str],
        use: Use,
        method: Method = "GET",
    ) -> Answer:
        """Every status is an answer but 429, for which the whole fleet pauses. Raises WaitError or JumioAwayError."""
        at_most = IMAGE_BYTES if use == "images" else DOCUMENT_BYTES
        try:
            with self._budget.turn(use) if self._budget else nullcontext():
                answer = self._http.ask(url, asked=asked, headers=headers, at_most=at_most, method=method)
        except JumioAwayError:
            self.away(conn)
            raise
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS and self._budget:
            raise self._budget.pause(answer.retry_after)
        return answer

    def settle(self, conn: Connection, answer: Answer, *, asked: str, use: Use) -> bytes:
        """The body, or the error that the status means, once the breaker knows of it."""
        if answer.is_away:
            self.away(conn)
        elif self._breaker:
            # A 400 may be said before the credentials are looked at, a 404 only afterwards.
            self._breaker.answered(conn, accepted=answer.status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND})
        if answer.status in _REFUSALS and use == "details":
            self.refused(conn, f"{asked}; answered {answer.status}")
        elif answer.status in _REFUSALS and self._breaker:
            # It may mean that image alone, as with pages that show a credit card (retrieval guide).
            self._breaker.excused(conn)
        return require_ok(answer, asked=asked)

    def refused(self, conn: Connection, what: str) -> None:
        if self._breaker:
            self._breaker.refused(conn, what)

    def away(self, conn: Connection) -> None:
        if self._breaker:
            self._breaker.away(conn)


class Jumio:
    """The retrieval API of one tenant. The connection is used for the token and the breaker alone.

    Every method raises UnreadableError for an id that may not stand in a path, WaitError while it is not this row's
    turn, JumioAwayError, JumioAnswerError, JumioNotFoundError or JumioRefusedError.
    """

    def __init__(
        self, tenant: Tenant, http: Http, tokens: Tokens, budget: Budget | None = None, breaker: Breaker | None = None
    ) -> None:
        self._tenant = tenant
        self._tokens = tokens
        self._caller = Caller(http, budget, breaker)

    def status(self, conn: Connection, account_id: str, workflow_id: str) -> dict[str, Any]:
        body = self._read(conn, f"{_workflow(account_id, workflow_id)}/status", asked="status")
        return read_object(body, asked="status")

    def details(self, conn: Connection, account_id: str, workflow_id: str) -> bytes:
        body = self._read(conn, _workflow(account_id, workflow_id), asked="details")
        read_object(body, asked="details")
        return body

    def steps(self, conn: Connection, account_id: str, workflow_id: str) -> bytes | None:
        """None for workflows of before there were steps (KYX guide)."""
        try:
            body = self._read(conn, f"{_workflow(account_id, workflow_id)}/steps", asked="steps")
        except JumioNotFoundError:
            return None
        read_object(body, asked="steps")
        return body

    def image(self, conn: Connection, account_id: str, credential_id: str, classifier: str) -> bytes:
        """The bytes as they came: whether they are an image is the caller's to find out."""
        if CLASSIFIER.fullmatch(classifier) is None:
            raise UnreadableError("classifier", "is not one that may stand in a path")
        path = f"accounts/{require_id(account_id)}/credentials/{require_id(credential_id)}/parts/{classifier}"
        return self._read(conn, path, asked="image", use="images")

    def delete(self, conn: Connection, account_id: str, workflow_id: str | None) -> None:
        """One workflow, or without one the account with all of its workflows: at once and for good."""
        path = _workflow(account_id, workflow_id) if workflow_id else f"accounts/{require_id(account_id)}"
        self._read(conn, path, asked="deletion", method="DELETE")

    def _read(self, conn: Connection, path: str, *, asked: str, use: Use = "details", method: Method = "GET") -> bytes:
        self._caller.admit(conn)
        token = self._token(conn)
        answer = self._ask(conn, token, path, asked=asked, use=use, method=method)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            # Tokens end early when a credential is changed; a new one is refused only for a reason that stays.
            self._tokens.drop(conn, token.token_id)
            token = self._token(conn)
            answer = self._ask(conn, token, path, asked=asked, use=use, method=method)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._ended_for_others(conn, token):
            raise JumioAwayError(asked, "the new token ended while it was in use")
        try:
            return self._caller.settle(conn, answer, asked=asked, use=use)
        except JumioRefusedError as error:
            if answer.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise JumioRefusedError(*error.args[:2], _STILL_REFUSED) from None

    def _ended_for_others(self, conn: Connection, token: AccessToken) -> bool:
        """Another worker was refused with the same token at the same time and dropped it: that says nothing of ours."""
        time.sleep(_OTHERS_NOTICE_SECONDS)
        return not self._tokens.is_current(conn, token.token_id)

    def _token(self, conn: Connection) -> AccessToken:
        """Not within the budget: Jumio counts token requests apart, and there is one an hour (docs.jumio.com)."""
        try:
            return self._tokens.get(conn)
        except JumioRefusedError as error:
            self._caller.refused(conn, "; ".join(error.args[:2]))
            raise
        except JumioAwayError:
            self._caller.away(conn)
            raise

    def _ask(self, conn: Connection, token: AccessToken, path: str, *, asked: str, use: Use, method: Method) -> Answer:
        return self._caller.ask(
            conn,
            f"{self._tenant.retrieval_url}/api/v1/{path}",
            asked=asked,
            headers={
                "Accept": IMAGE if use == "images" else JSON,
                "Authorization": f"Bearer {token.token}",
                "Content-Type": JSON,  # asked for by KYX even where there is no body (KYX guide)
                "User-Agent": self._tenant.user_agent,
            },
            use=use,
            method=method,
        )


def _workflow(account_id: str, workflow_id: str) -> str:
    return f"accounts/{require_id(account_id)}/workflow-executions/{require_id(workflow_id)}"


def require_id(value: str) -> str:
    """The value itself. Raises UnreadableError for one that may not stand in a path."""
    if not is_id(value):
        raise UnreadableError("id", "is not one that may stand in a path")
    return value
