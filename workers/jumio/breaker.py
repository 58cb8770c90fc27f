"""Leaves a tenant's part of Jumio in peace while it refuses or is down: rows wait, and one a minute tries."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, NamedTuple

import structlog
from psycopg import Connection

from schemas.settings import Tenant
from workers import store
from workers.errors import JumioAnswerError, JumioAwayError, WaitError
from workers.jumio.deadline import apart
from workers.jumio.lenient import read_object
from workers.jumio.transport import TOKEN_BYTES, Http

log = structlog.get_logger()

Part = Literal["credentials", "legacy credentials", "region"]

# Refusals in a row over the fleet, with nothing in between that was answered: a single one may be the row's own fault.
STORM = 5
STORM_SECONDS = 60.0
# One row a minute finds out whether it is over.
PROBE_SECONDS = 60.0
# The fleet asks the status page no more often than this, and who fails while it is asked waits for what it says.
PAGE_SECONDS = 15.0
_OTHERS_ASK_SECONDS = 0.3
# A worker asks for the state before every call; this much later than the others it may notice.
FRESH_SECONDS = 1.0
# About to be tried: nothing is gained by coming back at once.
LEAST_WAIT_SECONDS = 5.0
PAGE_SECONDS = 5.0


class ClosedError(WaitError):
    """Jumio refuses this tenant's credentials or is down by its own word: no row is asked for until one succeeds."""

    code = "jumio_closed"


class _Open(NamedTuple):
    part: Part
    reason: str
    seconds: float


class Breaker:
    """The parts that one of a tenant's credentials depends on. The state is the fleet's, in pipeline.breakers."""

    def __init__(
        self, tenant: Tenant, http: Http, credentials: Literal["credentials", "legacy credentials"] = "credentials"
    ) -> None:
        self._tenant = tenant
        self._http = http
        self._credentials: Part = credentials
        self._parts: list[Part] = [credentials, "region"]
        self._seen: list[_Open] = []
        self._seen_at = 0.0

    def admit(self, conn: Connection) -> None:
        """Before a row asks: raises ClosedError, unless nothing is open or this row is the one to try."""
        for found in self._look(conn):
            probe = {"part": found.part, "seconds": PROBE_SECONDS}
            if found.seconds > 0 or not self._change(conn, "claim_probe", probe):
                raise _closed(found)
            log.info("breaker.probed", tenant=self._tenant.name, part=found.part)

    def answered(self, conn: Connection, *, accepted: bool) -> None:
        """Jumio answered at all and, where `accepted`, took the credentials: what was open is closed."""
        self._close(conn, self._parts if accepted else ["region"])

    def refused(self, conn: Connection, what: str) -> None:
        """Credentials were refused. Raises ClosedError once that is a storm, so that its rows wait."""
        if self._count(conn, self._credentials) < STORM:
            return
        self._open(conn, self._credentials, what)
        self._seen_at = 0.0
        raise ClosedError(self._credentials, what, PROBE_SECONDS)

    def away(self, conn: Connection) -> None:
        """Jumio did not answer. Raises ClosedError where its status page says that the region is down.

        One asks it, at the first failure already, so that no row uses up an attempt on a region that is down.
        """
        self._count(conn, "region")
        if self._change(conn, "claim_status_page", {"seconds": PAGE_SECONDS}):
            self._ask_status_page(conn)
        else:
            time.sleep(_OTHERS_ASK_SECONDS)
        self._require_closed(conn, "region")

    def excused(self, conn: Connection) -> None:
        """A refusal that does not count. Raises ClosedError while the credentials are refused anyway."""
        self._require_closed(conn, self._credentials)

    def _require_closed(self, conn: Connection, part: Part) -> None:
        self._seen_at = 0.0
        for found in self._look(conn):
            if found.part == part:
                raise _closed(found)

    def _look(self, conn: Connection) -> list[_Open]:
        now = time.monotonic()
        if now - self._seen_at >= FRESH_SECONDS or not self._seen_at:
            found = store.rows(conn, "breakers", "get_breakers", {"tenant": self._tenant.name, "parts": self._parts})
            self._seen, self._seen_at = [_Open(**row) for row in found], now
        age = now - self._seen_at
        return [seen._replace(seconds=max(seen.seconds - age, 0.0)) for seen in self._seen]

    def _ask_status_page(self, conn: Connection) -> None:
        """Silence says nothing: what is open stays open, and what is not is left to each row's own schedule."""
        down = self._is_down()
        log.info("breaker.status_asked", tenant=self._tenant.name, down=down)
        if down:
            self._open(conn, "region", "the status page says DOWN")
        elif down is False:
            self._close(conn, ["region"])

    def _is_down(self) -> bool | None:
        try:
            # A row whose own time is up is the very one that asks why.
            with apart():
                answer = self._http.ask(
                    f"{self._tenant.status_url}/",
                    asked="status page",
                    headers={"Accept": "application/json", "User-Agent": self._tenant.user_agent},
                    at_most=TOKEN_BYTES,
                    seconds=PAGE_SECONDS,
                )
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return True  # health pages of this shape commonly say DOWN with a 503, of which no body is read
            return says_down(read_object(answer.body, asked="status page")) if answer.body else None
        except (JumioAwayError, JumioAnswerError):
            return None

    def _count(self, conn: Connection, part: Part) -> int:
        values = {"tenant": self._tenant.name, "part": part, "seconds": STORM_SECONDS}
        [row] = store.rows(conn, "breakers", "count_failure", values)
        return int(row["failures"])

    def _open(self, conn: Connection, part: Part, reason: str) -> None:
        if self._change(conn, "open_breaker", {"part": part, "reason": reason, "seconds": PROBE_SECONDS}):
            log.error("breaker.opened", tenant=self._tenant.name, part=part, reason=reason)

    def _close(self, conn: Connection, parts: list[Part]) -> None:
        for row in store.rows(conn, "breakers", "close_breakers", {"tenant": self._tenant.name, "parts": parts}):
            self._seen_at = 0.0
            if row["reason"] is not None:
                log.warning("breaker.closed", tenant=self._tenant.name, part=row["part"])

    def _change(self, conn: Connection, name: str, values: Mapping[str, object]) -> bool:
        return store.change(conn, "breakers", name, {"tenant": self._tenant.name, **values}) == 1


def says_down(page: Mapping[str, object]) -> bool:
    """Of the region, or of what we ask it for; DEGRADED still answers (KYX guide)."""
    details = page.get("details")
    words = [page.get("status"), details.get("retrieval") if isinstance(details, Mapping) else None]
    return any(isinstance(word, str) and word.strip().upper() == "DOWN" for word in words)


def _closed(found: _Open) -> ClosedError:
    return ClosedError(found.part, found.reason, max(found.seconds, LEAST_WAIT_SECONDS))
