"""One token a tenant: renewed once by whoever comes first, kept sealed, dropped once."""

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from schemas.sealing import KeyRing
from schemas.sql.queries import query
from tests.workers.jumio.scripted import Asked, Script, Server, reply, tenant_at
from workers.errors import JumioAnswerError, JumioAwayError, JumioRefusedError, LineError
from workers.jumio.token import Tokens, usable_seconds
from workers.jumio.transport import Http

Serve = Callable[[Callable[[Asked], Script]], Server]


def granted(token: str = "opaque", expires_in: object = 3600) -> bytes:  # noqa: S107 - an invented one
    document = {"access_token": token, "expires_in": expires_in, "token_type": "Bearer"}
    return reply(200, json.dumps(document).encode())


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def tokens_at(server: Server, http: Http, keys: KeyRing) -> Tokens:
    return Tokens(tenant_at(server.url), http, keys)


def row(conn: psycopg.Connection) -> dict[str, object]:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM pipeline.tokens").fetchone() or {}


def test_the_question_is_client_credentials(serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection) -> None:
    server = serve(lambda _: [granted("first")])

    token = tokens_at(server, http, keys).get(conn)

    assert token.token == "first"
    [asked] = server.asked
    assert asked.line == "POST /oauth2/token HTTP/1.1"
    assert asked.body == b"grant_type=client_credentials"
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept"] == "application/json"
    assert asked.headers["user-agent"] == "Acme Kyc/1.0"


def test_the_row_holds_it_sealed_and_every_process_uses_it(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [granted("very-secret")])

    first = tokens_at(server, http, keys).get(conn)
    second = tokens_at(server, http, keys).get(conn)

    assert second == first
    assert len(server.asked) == 1
    assert b"very-secret" not in bytes(row(conn)["sealed_token"])  # type: ignore[call-overload]
    assert row(conn)["renewing_until"] is None
    assert "very-secret" not in repr(first)


def test_nothing_is_open_while_jumio_is_asked(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    seen = []

    def answer(_: Asked) -> Script:
        seen.append(conn.info.transaction_status)
        yield granted()

    tokens_at(serve(answer), http, keys).get(conn)

    assert seen == [TransactionStatus.IDLE]


def test_eight_workers_make_one_request(
    serve: Serve, keys: KeyRing, database_url: str, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [0.4, granted()])
    start = threading.Barrier(8)

    def work() -> str:
        http = Http(total_seconds=5.0)
        with psycopg.connect(database_url, autocommit=True) as own:
            start.wait()
            token = tokens_at(server, http, keys).get(own)
        http.close()
        return str(token.token_id)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: work(), range(8)))

    assert len(set(found)) == 1
    assert len(server.asked) == 1


def test_a_storm_of_refusals_makes_one_renewal(
    serve: Serve, keys: KeyRing, http: Http, database_url: str, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [0.2, granted()])
    refused = tokens_at(server, http, keys).get(conn)
    start = threading.Barrier(8)

    def work() -> str:
        own_http = Http(total_seconds=5.0)
        tokens = tokens_at(server, own_http, keys)
        with psycopg.connect(database_url, autocommit=True) as own:
            start.wait()
            tokens.drop(own, refused.token_id)
            token = tokens.get(own)
        own_http.close()
        return str(token.token_id)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: work(), range(8)))

    assert len(set(found)) == 1
    assert found[0] != str(refused.token_id)
    assert len(server.asked) == 2


def test_a_token_that_is_no_longer_the_one_is_not_dropped(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    tokens = tokens_at(serve(lambda _: [granted()]), http, keys)
    token = tokens.get(conn)

    tokens.drop(conn, uuid4())

    assert tokens.get(conn) is token


def test_what_another_worker_dropped_is_not_used_again(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [granted()])
    tokens = tokens_at(server, http, keys)
    dropped = tokens.get(conn)

    tokens_at(server, http, keys).drop(conn, dropped.token_id)

    assert tokens.get(conn).token_id != dropped.token_id


def test_a_token_is_renewed_once_its_time_is_over(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [granted()])
    tokens = tokens_at(server, http, keys)
    first = tokens.get(conn)
    conn.execute("UPDATE pipeline.tokens SET expires_at = now()")

    second = tokens.get(conn)

    assert second.token_id != first.token_id
    assert len(server.asked) == 2


def test_a_token_sealed_by_a_lost_key_is_replaced(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [granted()])
    lost = tokens_at(server, http, KeyRing.parse(KeyRing.generate("k0"))).get(conn)

    token = tokens_at(server, http, keys).get(conn)

    assert token.token_id != lost.token_id


REFUSALS = [
    ([reply(400, Path("tests/fixtures/errors/oauth_400_invalid_client.json").read_bytes())], JumioRefusedError),
    ([reply(401)], JumioRefusedError),
    ([reply(403)], JumioRefusedError),
    ([reply(429, retry_after="3")], JumioAwayError),
    ([reply(500)], JumioAwayError),
    ([2.0], JumioAwayError),
    ([reply(302, location="/")], JumioAnswerError),
    ([reply(200, b"<html>")], JumioAnswerError),
    ([reply(200, b"[]")], JumioAnswerError),
    ([reply(200, b"{}")], JumioAnswerError),
    ([granted("line\r\nX-Evil: 1")], JumioAnswerError),
    ([granted("t\u00e4")], JumioAnswerError),
    ([reply(200, b'{"access_token": "a", "token_type": "mac"}')], JumioAnswerError),
    ([granted("a" * 70_000)], JumioAnswerError),
]


@pytest.mark.parametrize(("script", "error"), REFUSALS)
def test_a_winner_that_fails_gives_the_renewal_back_at_once(
    serve: Serve, keys: KeyRing, conn: psycopg.Connection, script: list[bytes | float], error: type[LineError]
) -> None:
    server = serve(lambda _: script)

    with pytest.raises(error):
        tokens_at(server, Http(total_seconds=1.0), keys).get(conn)

    assert row(conn)["renewing_until"] is None
    assert row(conn)["token_id"] is None
    assert len(server.asked) == 1


def test_wrong_credentials_tell_the_operator_what_to_check(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    server = serve(lambda _: [reply(401)])

    with pytest.raises(JumioRefusedError, match=r"JUMIO_CLIENT_ID, JUMIO_CLIENT_SECRET, JUMIO_REGION") as raised:
        tokens_at(server, http, keys).get(conn)

    assert "secret" not in str(raised.value)


def test_who_waits_in_vain_tries_again_later(serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO pipeline.tokens (tenant, renewing_until) VALUES ('default', now() + interval '20 s')")
    server = serve(lambda _: [granted()])

    with pytest.raises(JumioAwayError):
        tokens_at(server, http, keys).get(conn, patience=0.3)

    assert server.asked == []


def test_who_looked_before_the_token_came_does_not_renew_it(
    serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection
) -> None:
    tokens_at(serve(lambda _: [granted()]), http, keys).get(conn)

    claimed = conn.execute(query("tokens", "claim_renewal"), {"tenant": "default", "seconds": 20.0}).fetchone()

    assert claimed is None


def test_a_claim_that_lapsed_is_taken_over(serve: Serve, http: Http, keys: KeyRing, conn: psycopg.Connection) -> None:
    conn.execute("INSERT INTO pipeline.tokens (tenant, renewing_until) VALUES ('default', now() - interval '1 ms')")

    token = tokens_at(serve(lambda _: [granted("new")]), http, keys).get(conn)

    assert token.token == "new"


def test_who_was_away_for_longer_than_its_claim_does_not_overwrite(
    serve: Serve, http: Http, keys: KeyRing, database_url: str, conn: psycopg.Connection
) -> None:
    other = Tokens(tenant_at(serve(lambda _: [granted("newer")]).url), Http(), keys)

    def answer(_: Asked) -> Script:
        with psycopg.connect(database_url, autocommit=True) as own:
            own.execute("UPDATE pipeline.tokens SET renewing_until = now() - interval '1 ms'")
            other.get(own)
        yield granted("older")

    token = tokens_at(serve(answer), http, keys).get(conn)

    assert token.token == "newer"


@pytest.mark.parametrize(
    ("token", "expires_in", "seconds"),
    [
        ("opaque", 3600, 3300), ("opaque", "3600", 3300), ("opaque", 7200, 6900), ("opaque", 600, 300),
        ("opaque", 100, 50), ("opaque", 4, 10), ("opaque", None, 3300), ("opaque", "soon", 3300),
        ("opaque", -5, 3300), ("opaque", True, 3300), ("opaque", [], 3300), ("opaque", "inf", 3300),
        ("exp in 1000", 3600, 700), ("exp in 9000", 3600, 3300),
        ("exp in 400", 3600, 200), (jwt(exp=1), 3600, 10), (jwt(exp="x"), 3600, 3300),
        ("a.b.c", 3600, 3300), ("e30.W10.c", 3600, 3300), ("..", 3600, 3300),
    ],
)  # fmt: skip
def test_the_shortest_of_what_is_known_counts_less_a_margin(token: str, expires_in: object, seconds: float) -> None:
    if token.startswith("exp in "):
        token = jwt(exp=time.time() + float(token.removeprefix("exp in ")))

    found = usable_seconds({"access_token": token, "expires_in": expires_in})

    assert found == pytest.approx(seconds, abs=15)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126)), st.text(), st.floats() | st.integers() | st.text())
def test_no_token_breaks_the_reading_of_its_life(token: str, payload: str, expires_in: float | str) -> None:
    hidden = base64.urlsafe_b64encode(payload.encode("utf-8", "replace")).decode()
    for candidate in (token, f"a.{token}.b", f"a.{hidden}.b"):
        assert usable_seconds({"access_token": candidate, "expires_in": expires_in}) >= 10
