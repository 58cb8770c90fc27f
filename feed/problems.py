"""What is wrong with a request, as RFC 9457 says it: a stable code, and what to do."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response


class Problem(NamedTuple):
    """One kind of refusal; the code stays, the words may change."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = {}


class RefusedError(Exception):
    """The request cannot be answered; its first argument is the Problem."""


_CHALLENGE = {"www-authenticate": 'Bearer realm="jumio-pipeline feed"'}

TOKEN_MISSING = Problem(401, "token_missing", "Send the header `Authorization: Bearer TOKEN`.", _CHALLENGE)
TOKEN_UNKNOWN = Problem(
    401,
    "token_unknown",
    "The token is unknown or revoked. An operator makes one: jumio-pipeline consumers add NAME",
    {"www-authenticate": f'{_CHALLENGE["www-authenticate"]}, error="invalid_token"'},
)
CURSOR_UNREADABLE = Problem(
    400, "cursor_unreadable", "`after` is no cursor. Send the header feed-cursor of an earlier answer, unchanged."
)
CURSOR_ENDED = Problem(
    400,
    "cursor_ended",
    "The database is another one than this cursor is of. Read again without `after`, and drop repeats by id.",
)
NOT_FOUND = Problem(404, "not_found", "There is GET /events.")
NOT_ALLOWED = Problem(405, "method_not_allowed", "There is GET /events.", {"allow": "GET"})
TOO_MANY = Problem(
    429, "too_many_requests", "This token has too many requests open. Wait for their answers.", {"retry-after": "1"}
)
AWAY = Problem(
    503, "database_away", "The database does not answer. Ask again with the same cursor.", {"retry-after": "5"}
)


def parameter(code: str, detail: str) -> Problem:
    """Something about one parameter; the detail quotes nothing that was sent."""
    return Problem(400, code, detail)


def refuse(problem: Problem) -> Response:
    """The answer."""
    body = {
        "type": f"urn:jumio-pipeline:problem:{problem.code}",
        "title": problem.code.replace("_", " "),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    return Response(
        json.dumps(body),
        status_code=problem.status,
        media_type="application/problem+json",
        headers={"cache-control": "no-store", **problem.headers},
    )
