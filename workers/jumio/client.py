"""Ids of a KYX workflow -> what Jumio's retrieval API says about it. URLs are made here, never taken from an answer."""

from http import HTTPStatus
from typing import Any

from psycopg import Connection

from schemas.callbacks.callback import is_id
from schemas.settings import Tenant
from workers.errors import JumioNotFoundError, JumioRefusedError, UnreadableError
from workers.jumio.kyx import CLASSIFIER
from workers.jumio.lenient import read_object
from workers.jumio.token import AccessToken, Tokens
from workers.jumio.transport import DOCUMENT_BYTES, IMAGE_BYTES, Answer, Http, require_ok

_JSON = "application/json"
_IMAGE = "image/jpeg, image/png"


class Jumio:
    """The retrieval API of one tenant. The connection is used for the token alone.

    Every method raises UnreadableError for an id that may not stand in a path, JumioAwayError, JumioAnswerError,
    JumioNotFoundError or JumioRefusedError.
    """

    def __init__(self, tenant: Tenant, http: Http, tokens: Tokens) -> None:
        self._tenant = tenant
        self._http = http
        self._tokens = tokens

    def status(self, conn: Connection, account_id: str, workflow_id: str) -> dict[str, Any]:
        body = self._read(conn, f"{_workflow(account_id, workflow_id)}/status", asked="status")
        return read_object(body, asked="status")

    def details(self, conn: Connection, account_id: str, workflow_id: str) -> bytes:
        body = self._read(conn, _workflow(account_id, workflow_id), asked="details")
        read_object(body, asked="details")
        return body

    def steps(self, conn: Connection, account_id: str, workflow_id: str) -> bytes | None:
        """None for workflows of before there were steps (protocol.md D.4)."""
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
        path = f"accounts/{_id(account_id)}/credentials/{_id(credential_id)}/parts/{classifier}"
        return self._read(conn, path, asked="image", accept=_IMAGE, at_most=IMAGE_BYTES)

    def _read(
        self, conn: Connection, path: str, *, asked: str, accept: str = _JSON, at_most: int = DOCUMENT_BYTES
    ) -> bytes:
        token = self._tokens.get(conn)
        answer = self._ask(token, path, asked=asked, accept=accept, at_most=at_most)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            # Tokens end early when a credential is changed; a new one is refused only for a reason that stays.
            self._tokens.drop(conn, token.token_id)
            token = self._tokens.get(conn)
            answer = self._ask(token, path, asked=asked, accept=accept, at_most=at_most)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            hint = "with a new token as well: check the credential and its permissions in Jumio's portal"
            raise JumioRefusedError(asked, f"answered {answer.status}", hint)
        return require_ok(answer, asked=asked)

    def _ask(self, token: AccessToken, path: str, *, asked: str, accept: str, at_most: int) -> Answer:
        return self._http.ask(
            f"{self._tenant.retrieval_url}/api/v1/{path}",
            asked=asked,
            headers={
                "Accept": accept,
                "Authorization": f"Bearer {token.token}",
                "Content-Type": _JSON,  # asked for by KYX even where there is no body (protocol.md C.1)
                "User-Agent": self._tenant.user_agent,
            },
            at_most=at_most,
        )


def _workflow(account_id: str, workflow_id: str) -> str:
    return f"accounts/{_id(account_id)}/workflow-executions/{_id(workflow_id)}"


def _id(value: str) -> str:
    # The pattern's $ lets one line end through.
    if not is_id(value) or value.endswith("\n"):
        raise UnreadableError("id", "is not one that may stand in a path")
    return value
