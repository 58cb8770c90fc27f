"""What arrives at the door, over real sockets: framing, heads, sources, sizes."""

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.embedded.services import ServiceUrls
from deploy.simulator.dns import DnsServer
from receiver.room import REFUSED_A_SECOND, REFUSED_AT_ONCE
from schemas.sealing import KeyRing
from tests.conftest import empty
from tests.receiver.serving import JUMIO, JUMIO_TOO, KEYS, STRANGER, Served, read_all, serve
from tests.waiting import until

RING = KeyRing.parse(KEYS)
HEAD = b"POST /callbacks/default HTTP/1.1\r\nHost: receiver.test\r\n"


@pytest.fixture(scope="module")
def door(services: ServiceUrls, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One receiver for all the cases of this module: each of them ends its connections."""
    with DnsServer({"callback.one.test": [JUMIO, JUMIO_TOO, "127.0.0.1"]}).running() as dns:
        environment = {
            "DATABASE_URL": services.database_url,
            "ENCRYPTION_KEYS": KEYS,
            "BIND": "127.0.0.1:0",
            "METRICS_BIND": "127.0.0.1:0",
            "SOURCE_HOSTS": "callback.one.test",
            "SOURCE_ALLOW_PRIVATE": "true",
            "DNS_SERVERS": dns.address,
            "TRUSTED_PROXIES": "127.0.1.0/24",
            "FORWARDED_ALLOW_IPS": "*",
            "LOG_FORMAT": "json",
        }
        with serve(environment, tmp_path_factory.mktemp("door")) as receiver:
            receiver.until_ready("durable_write", "allowlist")
            yield receiver
    with psycopg.connect(services.database_url, autocommit=True) as conn:
        empty(conn)


def rows(url: str, what: str = "state") -> list[Any]:
    with psycopg.connect(url) as conn:
        return conn.execute(f"SELECT {what} FROM pipeline.callbacks ORDER BY received_at").fetchall()


def statuses(answer: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


def test_a_callback_is_kept_exactly_and_answered_with_an_empty_200(door: Served, database: str) -> None:
    body = bytes(range(256)) * 4

    status, headers, answer = door.request("POST", "/callbacks/default?q=1", body, {"Cookie": "a", "X-B": "c"})

    assert (status, answer, headers["content-length"]) == (200, b"", "0")
    assert "server" not in headers
    [row] = rows(database, "id, sealed_body, sealed_head, state, peer, client_address, source_evidence, tenant")
    assert RING.unseal(row[1], place=f"callbacks.body/{row[0]}") == body
    head = json.loads(RING.unseal(row[2], place=f"callbacks.head/{row[0]}"))
    assert head["query"] == "q=1"
    assert ["x-b", "c"] in head["headers"]
    assert "cookie" not in dict(head["headers"])
    assert (row[3], str(row[4]), str(row[5]), row[7]) == ("stored", JUMIO, JUMIO, "default")
    assert (row[6]["rule"], row[6]["name"], row[6]["hops"]) == ("dns", "callback.one.test", 0)


@pytest.mark.parametrize(
    ("rest", "kept"),
    [
        (b"Content-Length: 2\r\n\r\n{}", 1),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1),
        (b"\r\n", 1),
        (b"Content-Length: 2\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n{}", 1),
        (b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}", 1),
        (b"Content-Length: 2\r\nContent-Type: a\r\nContent-Type: b\r\nX: \xff\xfe\r\n\r\n{}", 1),
    ],
)
def test_every_honest_framing_is_kept(door: Served, database: str, rest: bytes, kept: int) -> None:
    answer = door.say(HEAD + rest, half_close=True)

    assert statuses(answer)[-1] == 200
    assert len(rows(database)) == kept


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HEAD + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        *(
            HEAD + b"Content-Length: %s\r\n\r\n{}" % odd
            for odd in (b"+2", b"1_0", b"-1", b"0x2", b"9" * 21, b"9" * 5000)
        ),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}",
        b"POST /callbacks/default HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        HEAD + b"Host: other.test\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /callbacks/default HTTP/1.9\r\nHost: a\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"CONNECT receiver.test:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)),
    ],
)
def test_what_is_no_request_is_answered_400_and_closed(door: Served, database: str, request_bytes: bytes) -> None:
    answer = door.say(request_bytes)

    assert statuses(answer) in ([400], [405])
    assert rows(database) == []


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(64)) + b"\r\n", 431),
        (HEAD + b"X: " + b"a" * 17_000 + b"\r\n\r\n", 431),
        (b"POST /callbacks/" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /callbacks/default HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 405),
    ],
)  # fmt: skip
def test_heads_have_limits(door: Served, database: str, request_bytes: bytes, status: int) -> None:
    answer = door.say(request_bytes, half_close=True)

    assert statuses(answer) == [status]
    assert rows(database) == []


def test_a_head_of_a_megabyte_is_cut_off(door: Served) -> None:
    def flood(talk: socket.socket) -> None:
        for _ in range(200):
            talk.sendall(b"X" * 16_384)
            time.sleep(0.001)

    with door.connect() as talk, pytest.raises(ConnectionError):
        flood(talk)


def test_a_long_query_is_kept_sealed(door: Served, database: str) -> None:
    assert door.post(path="/callbacks/default?name=" + "ADA" * 2700) == 200
    assert len(rows(database)) == 1


@pytest.mark.parametrize("rest", [b"Content-Length: 100\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"])
def test_an_incomplete_body_stores_nothing(door: Served, database: str, rest: bytes) -> None:
    before = ended_early(door)

    answer = door.say(HEAD + rest, half_close=True)

    assert statuses(answer) in ([], [400])
    until(lambda: ended_early(door) == before + 1)
    assert rows(database) == []


def ended_early(door: Served) -> float:
    """How many bodies; nothing is shown before the first."""
    counted = r'^jumio_receiver_incomplete_total\{reason="ended"\} (.+)$'
    return sum(map(float, re.findall(counted, door.metrics(), re.MULTILINE)))


def test_garbage_after_a_body_does_not_take_its_answer_away(door: Served, database: str) -> None:
    answer = door.say(HEAD + b"Content-Length: 2\r\n\r\n{}\x00\x01garbage")

    assert statuses(answer) == [200]
    assert len(rows(database)) == 1


def test_the_limit_itself_fits_and_one_byte_more_is_kept_cut_and_parked(door: Served, database: str) -> None:
    limit = 1_048_576

    assert door.post(b"a" * limit) == 200
    status, headers, _ = door.request("POST", "/callbacks/default", b"b" * (limit + 1))

    assert (status, headers["connection"]) == (413, "close")
    [fits, over] = rows(database, "state, bytes, last_error")
    assert fits == ("stored", limit, None)
    assert over[:2] == ("parked", limit)
    assert over[2].startswith("oversize: ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_405_with_allow(door: Served, database: str, method: str) -> None:
    status, headers, body = door.request(method, "/callbacks/default", b"SECRET")

    assert (status, headers["allow"]) == (405, "POST")
    assert b"SECRET" not in body
    assert rows(database) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("/callbacks/default/", 200), ("/callbacks/default%00", 404), ("/callbacks/default/x", 404), ("/callbacks/", 404),
     ("/callbacks/other", 404), ("/callbacks", 404), ("/", 404), ("/metrics", 404), ("/callbacks/%zz", 404)],
)  # fmt: skip
def test_a_slash_changes_nothing_and_nothing_is_redirected(door: Served, database: str, path: str, status: int) -> None:
    assert door.request("POST", path, b"{}")[0] == status


def test_a_stranger_is_refused_and_what_it_sent_is_kept_apart(door: Served, database: str) -> None:
    status, headers, body = door.request("POST", "/callbacks/default", b"{}", peer=STRANGER)

    assert (status, headers["connection"], body) == (403, "close", b"")
    [row] = rows(database, "state, source_evidence, last_error, finished_at IS NOT NULL")
    assert row == ("refused", {"rule": "refused", "hops": 0}, "source: not an address of Jumio's", True)


def test_what_strangers_leave_is_small_and_slow(door: Served, database: str) -> None:
    with ThreadPoolExecutor(20) as crowd:
        big = list(crowd.map(lambda _: door.post(b"a" * 20_000, peer=STRANGER, Connection="close"), range(2)))
        nothing = rows(database)
        began = time.monotonic()
        small = list(crowd.map(lambda _: door.post(b"{}", peer=STRANGER), range(REFUSED_AT_ONCE + 100)))
        took = time.monotonic() - began

    assert set(big + small) == {403}
    assert nothing == []
    # Room for a burst, of which the tests before took some, and no more than its pace.
    assert REFUSED_AT_ONCE - 20 <= len(rows(database)) <= REFUSED_AT_ONCE + took * REFUSED_A_SECOND


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP",
     "X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "Fastly-Client-IP", "X-Azure-ClientIP",
     "X_Forwarded_For"],
)  # fmt: skip
def test_no_header_of_a_stranger_makes_it_jumio(door: Served, database: str, name: str) -> None:
    value = f"for={JUMIO}" if name == "Forwarded" else JUMIO

    assert door.request("POST", "/callbacks/default", b"{}", {name: value}, peer=STRANGER)[0] == 403


def test_a_trusted_proxy_is_believed_about_the_hop_before_it(door: Served, database: str) -> None:
    def via(value: str) -> int:
        return door.request("POST", "/callbacks/default", b"{}", {"X-Forwarded-For": value}, peer="127.0.1.5")[0]

    assert [via(JUMIO), via(f"{STRANGER}, {JUMIO}"), via(f"::ffff:{JUMIO}"), via(f"{JUMIO}:4711")] == [200] * 4
    assert [via(STRANGER), via(f"{JUMIO}, {STRANGER}"), via(f"{JUMIO},"), via("unknown"), via("")] == [403] * 5


def test_keep_alive_carries_many_and_64_at_once_share_commits(door: Served, database: str) -> None:
    def burst(peer: str) -> list[int]:
        with socket.create_connection((door.host, door.port), timeout=20, source_address=(peer, 0)) as talk:
            talk.sendall((HEAD + b"Content-Length: 2\r\n\r\n{}") * 9)
            talk.sendall(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
            return statuses(read_all(talk))

    with ThreadPoolExecutor(64) as crowd:
        answers = list(crowd.map(burst, [JUMIO, JUMIO_TOO] * 32))

    assert answers == [[200] * 10] * 64
    assert len(rows(database)) == 640
    with psycopg.connect(database) as conn:
        [[commits]] = conn.execute("SELECT count(DISTINCT xmin::text) FROM pipeline.callbacks").fetchall()
    assert commits < 400


def test_three_hundred_connections_of_a_stranger_do_not_keep_jumio_out(door: Served, database: str) -> None:
    held = [door.connect(STRANGER) for _ in range(300)]
    try:
        began = time.monotonic()
        assert door.post() == 200
        assert time.monotonic() - began < 1
        assert 'jumio_receiver_cut_connections_total{reason="peer"}' in door.metrics()
    finally:
        for talk in held:
            talk.close()


def test_the_listening_line_names_both_addresses(door: Served) -> None:
    [line] = [line for line in door.lines() if line["event"] == "receiver.listening"]

    assert line["bind"] == f"127.0.0.1:{door.port}"
    assert line["metrics_bind"] == f"127.0.0.1:{door.metrics_port}"


def test_readiness_names_what_mends_it_and_the_door_needs_no_worker(door: Served) -> None:
    assert door.request("GET", "/readyz/door")[0] == 200
    status, _, body = door.request("GET", "/readyz")
    reason = json.loads(body)["parts"]["consumption"]["reason"]

    assert (status, "jumio-pipeline worker" in reason) == (503, True)


def test_every_event_that_was_logged_is_written_in_the_source(door: Served) -> None:
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "receiver").glob("*.py"))

    assert [line for line in door.lines() if f'"{line["event"]}"' not in source] == []


def test_a_port_that_is_taken_is_said_in_words(door: Served, environment: dict[str, str], tmp_path: Path) -> None:
    taken = environment | {"BIND": f"127.0.0.1:{door.port}"}

    with pytest.raises(AssertionError, match="SettingsError"), serve(taken, tmp_path):
        pass


def test_nothing_of_all_this_was_a_crash(door: Served) -> None:
    events = {line["event"] for line in door.lines()}

    assert not events & {"callback.failed", "library.logged", "process.crashed"}


def test_a_burst_of_jumios_is_answered_and_a_strangers_is_not_a_burden(door: Served) -> None:
    request = HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"

    def burst(source: str) -> bytes:
        with socket.create_connection((door.host, door.port), timeout=10, source_address=(source, 0)) as connection:
            try:
                connection.sendall(request)
                return read_all(connection)[:12]
            except ConnectionError:
                return b"cut"

    with ThreadPoolExecutor(max_workers=150) as crowd:
        answers = list(crowd.map(burst, [JUMIO] * 150))

    assert answers == [b"HTTP/1.1 200"] * 150
