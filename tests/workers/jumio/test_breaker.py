"""A storm opens it for the fleet, rows wait without using up attempts, one a minute tries, a success closes it."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from structlog.testing import capture_logs

from schemas.sealing import KeyRing
from schemas.settings import JUMIO_RETRY_SECONDS
from tests.workers.jumio.scripted import Asked, Script, Server, reply, tenant_at
from workers import store
from workers.errors import JumioAwayError, JumioRefusedError, LineError, ParkError, WaitError
from workers.jumio.breaker import STORM, Breaker, ClosedError, says_down
from workers.jumio.client import Jumio
from workers.jumio.token import Tokens
from workers.jumio.transport import Http
from workers.work import Work

Serve = Callable[[Callable[[Asked], Script]], Server]
HEALTH = Path("tests/fixtures/other")
WINDOW_OVER = "UPDATE pipeline.breakers SET opened_until = clock_timestamp() - interval '1 second'"
ACCOUNT, WORKFLOW, CREDENTIAL = (str(uuid4()) for _ in range(3))


@dataclass
class Region:
    """Every host of one region: what it answers to tokens, retrieval, images and for its health."""

    token: int = 200
    retrieval: int = 200
    image: int = 200
    gone: bool = False
    page: bytes = field(default_factory=lambda: reply(200, b'{"status": "UP"}'))

    def __call__(self, asked: Asked) -> Script:
        if self.gone:
            return []
        if asked.path == "/":
            return [self.page]
        if asked.path == "/oauth2/token":
            return [reply(self.token, b'{"access_token": "t", "expires_in": 3600}')]
        if "/parts/" in asked.path:
            return [reply(self.image, b"{}")]
        return [reply(self.retrieval, b"{}")]


@dataclass(frozen=True)
class Fleet:
    """Workers of one tenant, each with a client of its own, on one region."""

    conn: Connection
    region: Region
    server: Server
    http: Http
    keys: KeyRing

    def worker(self, tenant: str = "default", http: Http | None = None) -> Jumio:
        found = tenant_at(self.server.url, name=tenant)
        http = http or self.http
        return Jumio(found, http, Tokens(found, http, self.keys), breaker=Breaker(found, http))

    def ask(self, times: int = 1, *, tenant: str = "default") -> list[type[LineError] | None]:
        """Each time as another worker that knows nothing of the others."""
        return [self._error(self.worker(tenant)) for _ in range(times)]

    def asked(self) -> int:
        return len(self.server.of("/api/v1/"))

    def _error(self, jumio: Jumio) -> type[LineError] | None:
        try:
            jumio.details(self.conn, ACCOUNT, WORKFLOW)
        except LineError as error:
            return type(error)
        return None


@pytest.fixture
def fleet(serve: Serve, http: Http, keys: KeyRing, conn: Connection) -> Iterator[Fleet]:
    region = Region()
    conn.execute("DELETE FROM pipeline.breakers")
    yield Fleet(conn, region, serve(region), http, keys)
    conn.execute("DELETE FROM pipeline.breakers")


def open_parts(conn: Connection) -> list[str]:
    return [row["part"] for row in store.rows(conn, "breakers", "open_breakers")]


@pytest.mark.parametrize("status", [401, 403])
def test_a_storm_of_refusals_opens_it_for_all(fleet: Fleet, status: int) -> None:
    fleet.region.retrieval = status

    with capture_logs() as logs:
        errors = fleet.ask(STORM)
    before = fleet.asked()
    later = fleet.ask(20)

    assert errors == [JumioRefusedError] * (STORM - 1) + [ClosedError]
    assert later == [ClosedError] * 20
    assert fleet.asked() == before
    assert [entry for entry in logs if entry["event"] == "breaker.opened"] == [
        {
            "event": "breaker.opened",
            "log_level": "error",
            "tenant": "default",
            "part": "credentials",
            "reason": f"details; answered {status}",
        }
    ]
    [shown] = store.rows(fleet.conn, "breakers", "open_breakers")
    assert (shown["tenant"], shown["part"], shown["failures"]) == ("default", "credentials", STORM)
    assert 50 < shown["probe_seconds"] <= 60


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_token_counts_and_is_asked_for_no_more(fleet: Fleet, status: int) -> None:
    fleet.region.token = status

    errors = fleet.ask(STORM + 20)

    assert errors == [JumioRefusedError] * (STORM - 1) + [ClosedError] * 21
    assert len(fleet.server.of("/oauth2/token")) == STORM


def test_an_answer_in_between_starts_the_count_anew(fleet: Fleet) -> None:
    for status in (403, 403, 403, 403, 200) * 3 + (403, 403, 404, 403, 403, 403, 403):
        fleet.region.retrieval = status
        fleet.ask()

    assert open_parts(fleet.conn) == []


def test_what_was_a_minute_ago_is_no_storm(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM - 1)
    fleet.conn.execute(WINDOW_OVER)

    assert fleet.ask(STORM - 1) == [JumioRefusedError] * (STORM - 1)
    assert fleet.ask() == [ClosedError]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_images_are_no_storm(fleet: Fleet, status: int) -> None:
    fleet.region.image = status

    for _ in range(STORM * 2):
        with pytest.raises(JumioRefusedError):
            fleet.worker().image(fleet.conn, ACCOUNT, CREDENTIAL, "FRONT")

    assert open_parts(fleet.conn) == []
    assert fleet.ask() == [None]


def test_refused_images_do_not_hide_a_storm_either(fleet: Fleet) -> None:
    fleet.region.image = fleet.region.retrieval = 403

    for _ in range(STORM):
        fleet.ask()
        with pytest.raises(LineError):
            fleet.worker().image(fleet.conn, ACCOUNT, CREDENTIAL, "FRONT")

    assert open_parts(fleet.conn) == ["credentials"]


def test_an_image_that_tries_and_is_refused_waits_like_the_others(fleet: Fleet) -> None:
    fleet.region.image = fleet.region.retrieval = 403
    fleet.ask(STORM)

    for _ in range(3):
        fleet.conn.execute(WINDOW_OVER)
        with pytest.raises(ClosedError):
            fleet.worker().image(fleet.conn, ACCOUNT, CREDENTIAL, "FRONT")

    assert fleet.asked() == STORM + 3
    assert open_parts(fleet.conn) == ["credentials"]


def test_another_tenant_is_not_concerned(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM)
    fleet.region.retrieval = 200

    assert fleet.ask(tenant="other") == [None]
    assert fleet.ask() == [ClosedError]


def test_one_worker_a_minute_tries_until_it_succeeds(fleet: Fleet, database_url: str) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM)
    for status, closed in ((403, 8), (403, 8), (200, 7)):
        fleet.region.retrieval = status
        fleet.conn.execute(WINDOW_OVER)
        before = fleet.asked()

        errors = at_once(fleet, database_url, 8)

        assert fleet.asked() - before == 1
        assert errors.count(ClosedError) == closed
    assert open_parts(fleet.conn) == []
    assert fleet.ask(3) == [None] * 3


def at_once(fleet: Fleet, database_url: str, count: int) -> list[type[LineError] | None]:
    """All of them look before one of them has an answer."""
    looked = threading.Barrier(count)

    def work() -> type[LineError] | None:
        http = Http(total_seconds=5.0)
        jumio = fleet.worker(http=http)
        with psycopg.connect(database_url, autocommit=True) as own:
            jumio._caller._breaker._look(own)  # type: ignore[union-attr]  # noqa: SLF001
            looked.wait()
            try:
                jumio.details(own, ACCOUNT, WORKFLOW)
            except LineError as error:
                return type(error)
            finally:
                http.close()
        return None

    with ThreadPoolExecutor(count) as pool:
        return [done.result() for done in [pool.submit(work) for _ in range(count)]]


def test_closing_is_logged(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    fleet.ask(STORM)
    fleet.region.retrieval = 200
    fleet.conn.execute(WINDOW_OVER)

    with capture_logs() as logs:
        fleet.ask()

    assert [entry["event"] for entry in logs if entry["event"].startswith("breaker.")] == [
        "breaker.probed",
        "breaker.closed",
    ]


def test_rows_wait_and_no_attempt_is_used_up(fleet: Fleet) -> None:
    fleet.region.retrieval = 403
    ids = [insert_callback(fleet.conn) for _ in range(STORM + 7)]
    for row_id in ids:
        run(fleet, row_id)

    assert states(fleet.conn) == {("parked", 1): STORM - 1, ("stored", 0): 8}

    for _ in range(3):
        fleet.conn.execute("UPDATE pipeline.callbacks SET next_attempt_at = now()")
        for row_id in ids:
            run(fleet, row_id)
    assert states(fleet.conn) == {("parked", 1): STORM - 1, ("stored", 0): 8}
    waiting = "SELECT DISTINCT split_part(last_error, ':', 1) FROM pipeline.callbacks WHERE state = 'stored'"
    assert fleet.conn.execute(waiting).fetchall() == [("jumio_closed",)]

    fleet.region.retrieval = 200
    fleet.conn.execute(WINDOW_OVER)
    fleet.conn.execute("UPDATE pipeline.callbacks SET next_attempt_at = now()")
    for row_id in ids:
        run(fleet, row_id)
    assert states(fleet.conn) == {("parked", 1): STORM - 1, ("done", 1): 8}


def run(fleet: Fleet, row_id: UUID) -> None:
    def step(conn: Connection, attempt: int) -> None:
        fleet.worker().details(conn, ACCOUNT, WORKFLOW)
        store.finish(conn, "callbacks", row_id, attempt=attempt, state="done")

    Work("callbacks", row_id, JUMIO_RETRY_SECONDS, step).run(fleet.conn)


def states(conn: Connection) -> dict[tuple[Any, ...], int]:
    counted = "SELECT state, (attempts - forgiven)::integer, count(*)::integer FROM pipeline.callbacks GROUP BY 1, 2"
    return {tuple(row[:2]): row[2] for row in conn.execute(counted)}


def insert_callback(conn: Connection) -> UUID:
    row_id = uuid4()
    conn.execute(
        "INSERT INTO pipeline.callbacks (id, tenant, source_evidence, bytes, sha256, sealed_body, sealed_head, state) "
        "VALUES (%s, 'default', '{}', 0, sha256(''), '', '', 'stored')",
        [row_id],
    )
    return row_id


DOWN = [
    pytest.param(reply(200, (HEALTH / "health_down.json").read_bytes()), id="down"),
    pytest.param(reply(200, b'{"status": "DEGRADED", "details": {"retrieval": "down "}}'), id="retrieval is"),
    pytest.param(reply(503, b'{"status": "DOWN"}'), id="with a 503"),
]
NOT_DOWN = [
    pytest.param(reply(200, (HEALTH / "health_up.json").read_bytes()), id="up"),
    pytest.param(reply(200, b'{"status": "DEGRADED", "details": {"retrieval": "DEGRADED"}}'), id="degraded"),
    pytest.param(reply(200, b'{"status": "DEGRADED", "details": {"web": "DOWN"}}'), id="web is"),
    pytest.param(reply(200, b"<html>"), id="no JSON"),
    pytest.param(reply(200, b""), id="empty"),
    pytest.param(reply(404), id="404"),
    pytest.param(b"", id="silent"),
]


@pytest.mark.parametrize("page", DOWN)
def test_a_region_that_says_down_is_left_in_peace(fleet: Fleet, page: bytes) -> None:
    fleet.region.retrieval, fleet.region.page = 503, page

    errors = fleet.ask(5)

    assert errors == [ClosedError] * 5
    assert fleet.asked() == 1
    assert open_parts(fleet.conn) == ["region"]


@pytest.mark.parametrize("page", NOT_DOWN)
def test_one_that_does_not_is_left_to_the_schedule_and_its_page_asked_now_and_then(fleet: Fleet, page: bytes) -> None:
    fleet.region.retrieval, fleet.region.page = 503, page

    errors = fleet.ask(4)

    assert errors == [JumioAwayError] * 4
    assert len(fleet.server.of("/")) - len(fleet.server.of("/api")) - len(fleet.server.of("/oauth2")) == 1


def test_successes_in_between_do_not_ask_the_page_more_often(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.region.retrieval = 500
        fleet.ask()
        fleet.region.retrieval = 200
        fleet.ask()

    assert [asked.path for asked in fleet.server.asked].count("/") == 1


def test_a_region_that_is_not_there_at_all_is_away(fleet: Fleet) -> None:
    fleet.region.gone = True

    assert fleet.ask(3) == [JumioAwayError] * 3
    assert open_parts(fleet.conn) == []


def test_a_region_is_tried_once_a_minute_and_asks_its_page_again(fleet: Fleet) -> None:
    fleet.region.retrieval, fleet.region.page = 503, reply(200, b'{"status": "DOWN"}')
    fleet.ask()

    fleet.conn.execute(WINDOW_OVER)
    assert fleet.ask(3) == [ClosedError] * 3
    assert fleet.asked() == 2

    fleet.region.page = b""
    fleet.conn.execute(WINDOW_OVER)
    assert fleet.ask(2) == [ClosedError] * 2

    fleet.region.page = reply(200, b'{"status": "UP"}')
    fleet.conn.execute(WINDOW_OVER)
    assert fleet.ask(2) == [JumioAwayError] * 2
    assert open_parts(fleet.conn) == []


def test_a_region_that_answers_is_open_to_rows_again(fleet: Fleet) -> None:
    fleet.region.retrieval, fleet.region.page = 503, reply(200, b'{"status": "DOWN"}')
    fleet.ask()
    fleet.region.retrieval = 200
    fleet.conn.execute(WINDOW_OVER)

    assert fleet.ask(4) == [None] * 4


def test_the_token_s_host_belongs_to_the_region(fleet: Fleet) -> None:
    fleet.region.token, fleet.region.page = 503, reply(200, b'{"status": "DOWN"}')

    assert fleet.ask(3) == [ClosedError] * 3


def test_a_refusal_is_an_answer_of_the_region_and_silence_none_of_the_credentials(fleet: Fleet) -> None:
    for status in (500, 500, 403, 500, 500, 403, 500, 500, 403, 403, 403):
        fleet.region.retrieval = status
        fleet.ask()

    assert open_parts(fleet.conn) == ["credentials"]


@pytest.mark.parametrize(
    ("page", "down"),
    [({}, False), ({"status": None}, False), ({"status": ["DOWN"]}, False), ({"details": "DOWN"}, False),
     ({"status": "down"}, True), ({"details": {"retrieval": "DOWN"}}, True), ({"details": {"api": "DOWN"}}, False)],
)  # fmt: skip
def test_the_page_is_read_tolerantly(page: dict[str, Any], down: bool) -> None:  # noqa: FBT001 - a table's column
    assert says_down(json.loads(json.dumps(page))) is down


def test_a_closed_breaker_is_a_wait_and_not_a_refusal() -> None:
    error = ClosedError("credentials", "details; answered 403", 42.0)

    assert isinstance(error, WaitError)
    assert not isinstance(error, ParkError)
    assert error.retry_after == 42.0
    assert str(error) == "jumio_closed: credentials; details; answered 403; 42.0"
