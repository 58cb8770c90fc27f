"""Paths, headers, the one retry on 401, and what may not stand in a path."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from schemas.sealing import KeyRing
from tests.workers.jumio.scripted import Asked, Script, Server, reply, tenant_at
from workers.errors import JumioAnswerError, JumioNotFoundError, JumioRefusedError, UnreadableError
from workers.jumio.breaker import Breaker, ClosedError
from workers.jumio.budget import Budget, BudgetError, Fleet, spacing
from workers.jumio.client import Jumio
from workers.jumio.token import Tokens
from workers.jumio.transport import Http

Serve = Callable[[Callable[[Asked], Script]], Server]
FIXTURES = Path("tests/fixtures/retrieval/kyx")
ACCOUNT = "f5057fee-4c3e-4459-82dd-21250b729601"
WORKFLOW = "f41fcb28-e1ec-4229-9aa5-148c01a8c3f5"
CREDENTIAL = "b7b3ff7b-623d-48df-8cd5-8cc6f137bdc5"


class FakeJumio:
    """Grants numbered tokens, takes only the newest that is not revoked, and answers everything else with `body`."""

    def __init__(self, body: bytes = b"{}", status: int = 200) -> None:
        self.granted = 0
        self.good: set[str] = set()
        self.always_401 = False
        self.body = reply(status, body)

    def __call__(self, asked: Asked) -> Script:
        if asked.path == "/oauth2/token":
            self.granted += 1
            token = f"token-{self.granted}"
            self.good.add(token)
            return [reply(200, json.dumps({"access_token": token, "expires_in": 3600}).encode())]
        token = asked.headers["authorization"].removeprefix("Bearer ")
        if self.always_401 or token not in self.good:
            return [reply(401, Path("tests/fixtures/errors/kyx_401.json").read_bytes())]
        return [self.body]


def jumio_at(server: Server, http: Http, keys: KeyRing) -> Jumio:
    tenant = tenant_at(server.url)
    return Jumio(tenant, http, Tokens(tenant, http, keys))


def test_each_question_has_its_path_and_headers(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    server = serve(FakeJumio())
    jumio = jumio_at(server, http, keys)

    answers = [
        jumio.status(conn, ACCOUNT, WORKFLOW),
        jumio.details(conn, ACCOUNT, WORKFLOW),
        jumio.steps(conn, ACCOUNT, WORKFLOW),
        jumio.image(conn, ACCOUNT, CREDENTIAL, "FRONT"),
    ]

    assert answers == [{}, b"{}", b"{}", b"{}"]
    asked = server.of("/api/v1/")
    assert [each.line for each in asked] == [
        f"GET /api/v1/accounts/{ACCOUNT}/workflow-executions/{WORKFLOW}/status HTTP/1.1",
        f"GET /api/v1/accounts/{ACCOUNT}/workflow-executions/{WORKFLOW} HTTP/1.1",
        f"GET /api/v1/accounts/{ACCOUNT}/workflow-executions/{WORKFLOW}/steps HTTP/1.1",
        f"GET /api/v1/accounts/{ACCOUNT}/credentials/{CREDENTIAL}/parts/FRONT HTTP/1.1",
    ]
    assert [each.headers["accept"] for each in asked] == ["application/json"] * 3 + ["image/jpeg, image/png"]
    for each in asked:
        assert each.headers["authorization"] == "Bearer token-1"
        assert each.headers["content-type"] == "application/json"
        assert each.headers["user-agent"] == "Acme Kyc/1.0"
        assert each.headers["accept-encoding"] == "identity"


def test_details_come_back_byte_for_byte(serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection) -> None:
    body = (FIXTURES / "details_all_capabilities.json").read_bytes()

    found = jumio_at(serve(FakeJumio(body)), http, keys).details(conn, ACCOUNT, WORKFLOW)

    assert found == body


def test_old_workflows_have_no_steps(serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection) -> None:
    jumio = jumio_at(serve(FakeJumio(Path("tests/fixtures/errors/kyx_404.json").read_bytes(), status=404)), http, keys)

    assert jumio.steps(conn, ACCOUNT, WORKFLOW) is None
    with pytest.raises(JumioNotFoundError):
        jumio.details(conn, ACCOUNT, WORKFLOW)


def test_a_revoked_token_is_replaced_within_the_call(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    fake = FakeJumio()
    jumio = jumio_at(serve(fake), http, keys)
    jumio.status(conn, ACCOUNT, WORKFLOW)
    fake.good.clear()

    jumio.status(conn, ACCOUNT, WORKFLOW)

    assert fake.granted == 2


def test_a_second_401_is_a_refusal(serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection) -> None:
    fake = FakeJumio()
    fake.always_401 = True
    server = serve(fake)

    with pytest.raises(JumioRefusedError, match="with a new token as well"):
        jumio_at(server, http, keys).details(conn, ACCOUNT, WORKFLOW)

    assert len(server.of("/api/v1/")) == 2
    assert fake.granted == 2


def test_a_revoked_token_costs_the_whole_fleet_one_request(
    serve: Serve, keys: KeyRing, http: Http, database_url: str, conn: psycopg.Connection
) -> None:
    fake = FakeJumio()
    server = serve(fake)
    jumio_at(server, http, keys).status(conn, ACCOUNT, WORKFLOW)
    fake.good.clear()
    start = threading.Barrier(8)

    def work() -> None:
        own_http = Http(total_seconds=5.0)
        with psycopg.connect(database_url, autocommit=True) as own:
            start.wait()
            jumio_at(server, own_http, keys).status(own, ACCOUNT, WORKFLOW)
        own_http.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()

    assert fake.granted == 2


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'"text"', b"{", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe", b'{"a": "\xe4"}',
        b'{"a":' * 100_000, Path("tests/fixtures/errors/gateway_502.html").read_bytes(),
        (FIXTURES / "details_minimal.json").read_bytes()[:-5],
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_no_answer(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection, body: bytes
) -> None:
    jumio = jumio_at(serve(FakeJumio(body)), http, keys)

    for ask in (jumio.status, jumio.details, jumio.steps):
        with pytest.raises(JumioAnswerError):
            ask(conn, ACCOUNT, WORKFLOW)


BAD_IDS = [
    "", "../../admin", "%2e%2e", "a" * 65, "a'b", "a\r\nb", "a\n", "\0", "a.", "{}", "a/b", "a?b", "a#b",
    "a b", "\u0661",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_IDS)
def test_an_id_that_is_none_never_reaches_the_wire(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection, bad: str
) -> None:
    server = serve(FakeJumio())
    jumio = jumio_at(server, http, keys)

    for ask in (jumio.status, jumio.details, jumio.steps):
        for ids in ((bad, WORKFLOW), (ACCOUNT, bad)):
            with pytest.raises(UnreadableError):
                ask(conn, *ids)
    for parts in ((bad, CREDENTIAL, "FRONT"), (ACCOUNT, bad, "FRONT"), (ACCOUNT, CREDENTIAL, bad)):
        with pytest.raises(UnreadableError):
            jumio.image(conn, *parts)

    assert server.asked == []


@pytest.mark.parametrize("bad", ["front", "FRONT\n", "FRÖNT", "A" * 65])
def test_a_classifier_is_capital_letters(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection, bad: str
) -> None:
    with pytest.raises(UnreadableError):
        jumio_at(serve(FakeJumio()), http, keys).image(conn, ACCOUNT, CREDENTIAL, bad)


def polite(server: Server, http: Http, keys: KeyRing, broker_url: str) -> Jumio:
    tenant = tenant_at(server.url, name=f"polite-{uuid4()}")
    budget = Budget(tenant, Fleet(broker_url, processes=1))
    return Jumio(tenant, http, Tokens(tenant, http, keys), budget, Breaker(tenant, http))


def test_every_question_but_the_one_for_a_token_has_its_turn(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection, broker_url: str
) -> None:
    fake = FakeJumio()
    server = serve(fake)
    jumio = polite(server, http, keys, broker_url)
    began = time.monotonic()

    for _ in range(4):
        jumio.details(conn, ACCOUNT, WORKFLOW)
    fake.good.clear()
    jumio.image(conn, ACCOUNT, CREDENTIAL, "FRONT")

    # Six questions and two tokens, after one slot's wait for a budget that is new.
    assert len(server.asked) == 8
    assert time.monotonic() - began >= 5 * spacing(15)


def test_a_429_pauses_every_question_and_costs_no_attempt(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection, broker_url: str
) -> None:
    fake = FakeJumio()
    server = serve(fake)
    jumio = polite(server, http, keys, broker_url)
    jumio.status(conn, ACCOUNT, WORKFLOW)
    fake.body = reply(429, Path("tests/fixtures/errors/kyx_429.json").read_bytes(), retry_after="17")

    with pytest.raises(BudgetError) as raised:
        jumio.details(conn, ACCOUNT, WORKFLOW)
    assert raised.value.retry_after == 17.0
    for _ in range(3):
        with pytest.raises(BudgetError):
            jumio.image(conn, ACCOUNT, CREDENTIAL, "FRONT")
    assert len(server.of("/api/v1/")) == 2


def test_an_open_breaker_is_asked_before_a_token_is(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection, broker_url: str
) -> None:
    fake = FakeJumio()
    fake.always_401 = True
    server = serve(fake)
    jumio = polite(server, http, keys, broker_url)
    for _ in range(5):
        with pytest.raises((JumioRefusedError, ClosedError)):
            jumio.details(conn, ACCOUNT, WORKFLOW)
    before = len(server.asked)

    for _ in range(5):
        with pytest.raises(ClosedError):
            jumio.details(conn, ACCOUNT, WORKFLOW)

    assert len(server.asked) == before
    conn.execute("DELETE FROM pipeline.breakers")
