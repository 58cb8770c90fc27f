"""Client credentials -> one access token a tenant: kept in Postgres for all workers, renewed by one of them."""

import base64
import json
import math
import time
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import structlog
from psycopg import Connection
from psycopg.rows import tuple_row

from schemas.sealing import KeyRing, UnsealError
from schemas.settings import Tenant
from schemas.sql.queries import query
from workers.errors import JumioAnswerError, JumioAwayError, JumioRefusedError
from workers.jumio.lenient import Object, read_object
from workers.jumio.transport import TOKEN_BYTES, Answer, Http, require_ok

log = structlog.get_logger()

# How long the others leave the renewal to one worker; more than its question may take, so that it is not overtaken.
CLAIM_SECONDS = 20.0
RENEWAL_SECONDS = 15.0
# The others look this often and this long, then the row they work on is tried again later.
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 10.0
# Jumio's own: tokens live an hour, "refresh some minutes early" (KYX guide).
LIFE_SECONDS = 3600.0
EARLY_SECONDS = 300.0
# A clock that is wrong makes every token look expired; it must not cost a token request a call (limit 10 a second).
LEAST_SECONDS = 10.0


@dataclass(frozen=True, repr=False)
class AccessToken:
    """The secret, and the id by which it can be dropped once Jumio refuses it."""

    token: str
    token_id: UUID


class Tokens:
    """The access token of one tenant, as one process sees it."""

    def __init__(self, tenant: Tenant, http: Http, keys: KeyRing) -> None:
        self._tenant = tenant
        self._http = http
        self._keys = keys
        self._unsealed: AccessToken | None = None

    def get(self, conn: Connection, *, patience: float = PATIENCE_SECONDS) -> AccessToken:
        """A token that is still good. The connection is in autocommit: nothing is open while Jumio is asked.

        Raises JumioRefusedError for wrong credentials, JumioAwayError or JumioAnswerError where another try may help.
        """
        gives_up_at = time.monotonic() + patience
        while True:
            token = self._read(conn) or self._renew(conn)
            if token is not None:
                return token
            if time.monotonic() >= gives_up_at:
                raise JumioAwayError("token", "another worker renews it and has not finished")
            time.sleep(POLL_SECONDS)

    def drop(self, conn: Connection, token_id: UUID) -> None:
        """Jumio refused it. Only if it is still that one: a storm of 401 makes one renewal for the fleet."""
        dropped = conn.execute(query("tokens", "drop_token"), {"tenant": self._tenant.name, "token_id": token_id})
        if dropped.rowcount:
            log.info("jumio.token_dropped", tenant=self._tenant.name, token_id=str(token_id))

    def is_current(self, conn: Connection, token_id: UUID) -> bool:
        """Whether no other worker has dropped or replaced it meanwhile."""
        token = self._read(conn)
        return token is not None and token.token_id == token_id

    def _read(self, conn: Connection) -> AccessToken | None:
        """The row is asked each time, as only it knows that another worker dropped the token; unsealing is saved."""
        with conn.cursor(row_factory=tuple_row) as cursor:
            row = cursor.execute(query("tokens", "get_token"), {"tenant": self._tenant.name}).fetchone()
        if row is None:
            return None
        token_id, sealed = row
        if self._unsealed is None or self._unsealed.token_id != token_id:
            try:
                clear = self._keys.unseal(sealed, place=self._place(token_id))
            except UnsealError:
                log.warning("jumio.token_unreadable", tenant=self._tenant.name, token_id=str(token_id))
                self.drop(conn, token_id)
                return None
            self._unsealed = AccessToken(clear.decode("ascii"), token_id)
        return self._unsealed

    def _renew(self, conn: Connection) -> AccessToken | None:
        """None where another worker is at it, or has finished meanwhile."""
        with conn.cursor(row_factory=tuple_row) as cursor:
            asked = {"tenant": self._tenant.name, "seconds": CLAIM_SECONDS}
            row = cursor.execute(query("tokens", "claim_renewal"), asked).fetchone()
        if row is None:
            return None
        [claim] = row
        try:
            return self._keep(conn, claim, *self._fetch())
        finally:
            # Whatever went wrong, the next worker need not wait for the claim to lapse; a kept token has ended it.
            conn.execute(query("tokens", "release_renewal"), {"tenant": self._tenant.name, "claim": claim})

    def _fetch(self) -> tuple[str, float]:
        """Ask Jumio: the token, and for how many seconds to hand it out."""
        pair = f"{self._tenant.client_id}:{self._tenant.client_secret.get_secret_value()}".encode()
        answer = self._http.ask(
            f"{self._tenant.auth_url}/oauth2/token",
            asked="token",
            headers={
                "Accept": "application/json",
                "Authorization": f"Basic {base64.b64encode(pair).decode()}",
                "User-Agent": self._tenant.user_agent,
            },
            at_most=TOKEN_BYTES,
            form={"grant_type": "client_credentials"},
            seconds=RENEWAL_SECONDS,
        )
        document = read_object(_require_accepted(answer), asked="token")
        return _secret(document), usable_seconds(document)

    def _keep(self, conn: Connection, claim: datetime, secret: str, seconds: float) -> AccessToken | None:
        token = AccessToken(secret, uuid4())
        kept = conn.execute(
            query("tokens", "keep_token"),
            {
                "tenant": self._tenant.name,
                "token_id": token.token_id,
                "sealed_token": self._keys.seal(secret.encode("ascii"), place=self._place(token.token_id)),
                "seconds": seconds,
                "claim": claim,
            },
        )
        if not kept.rowcount:
            return None
        log.info("jumio.token_renewed", tenant=self._tenant.name, token_id=str(token.token_id), seconds=round(seconds))
        self._unsealed = token
        return token

    def _place(self, token_id: UUID) -> str:
        return f"tokens.sealed_token/{self._tenant.name}/{token_id}"


def usable_seconds(document: Object) -> float:
    """How long to hand it out: less than `expires_in`, which is only an upper bound, and less than its own `exp`.

    Jumio caches tokens on its side and may answer one that was made long ago (KYX guide).
    """
    expires_in = _seconds(document.get("expires_in"))
    life = LIFE_SECONDS if expires_in is None else expires_in
    expires_at = _seconds(_claims(document["access_token"]).get("exp"))
    if expires_at is not None:
        life = min(life, expires_at - time.time())
    early = min(EARLY_SECONDS, life / 2)
    return max(life - early, LEAST_SECONDS)


def _require_accepted(answer: Answer) -> bytes:
    if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        hint = "check JUMIO_CLIENT_ID, JUMIO_CLIENT_SECRET, JUMIO_REGION and JUMIO_USER_AGENT"
        raise JumioRefusedError("token", f"answered {answer.status}", hint)
    return require_ok(answer, asked="token")


def _secret(document: Object) -> str:
    secret, kind = document.get("access_token"), document.get("token_type", "Bearer")
    if not isinstance(secret, str) or not secret or not all("!" <= character <= "~" for character in secret):
        raise JumioAnswerError("token", "has no access_token that fits in a header")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise JumioAnswerError("token", "is not a bearer token")
    return secret


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _claims(token: str) -> dict[str, Any]:
    """The payload of a JWT, unverified: it can only shorten the token's life. Empty for any other token."""
    payload = f"{token}..".split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
