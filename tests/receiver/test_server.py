"""The process: its start, its end, what it says, and what it does when others are away."""

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from deploy.migrate import migrate
from deploy.simulator.dns import DnsServer
from receiver.connections import MOST_AHEAD
from tests.receiver.conftest import NAMES
from tests.receiver.faults import setting
from tests.receiver.serving import JUMIO, JUMIO_TOO, STRANGER, Served, read_all, serve
from tests.waiting import until

HEAD = b"POST /callbacks/default HTTP/1.1\r\nHost: receiver.test\r\n"


def states(url: str) -> list[str]:
    with psycopg.connect(url) as conn:
        return [state for [state] in conn.execute("SELECT state FROM pipeline.callbacks ORDER BY received_at")]


def test_sigterm_lets_what_is_whole_finish_and_does_not_wait_for_what_is_not(served: Served, database: str) -> None:
    with served.connect() as half, served.connect() as head_only, served.connect() as idle:
        half.sendall(HEAD + b"Content-Length: 100\r\n\r\nhello")
        head_only.sendall(HEAD)
        idle.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
        until(lambda: states(database) == ["stored"])
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        answers = [read_all(talk) for talk in (half, head_only, idle)]

    assert served.process.wait(20) == 0
    assert time.monotonic() - began < 8
    assert answers[0] == b""
    assert answers[1] == b""
    assert answers[2].count(b"HTTP/1.1 200") == 1
    assert states(database) == ["stored"]


def test_who_reads_no_answer_does_not_hold_up_a_stop(served: Served) -> None:
    with until(lambda: deaf_to(served)):
        began = time.monotonic()
        served.process.send_signal(signal.SIGTERM)

        assert served.process.wait(20) == 0
        # At once, had nothing been unread; and the server's whole grace is 17 s.
        assert 1 < time.monotonic() - began < 15


def deaf_to(served: Served) -> socket.socket | None:
    """A connection with more answers than the two systems hold for it, which is too far ahead and listened to no more.

    None where the server was busy: then so many came together that it was too far ahead at once, and all is answered.
    """
    deaf = socket.create_connection((served.host, served.metrics_port), source_address=(JUMIO, 0))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        for _ in range(120):
            deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: receiver.test\r\n\r\n" * (MOST_AHEAD // 2))
            time.sleep(0.03)
    except OSError:
        deaf.close()
        return None
    return deaf


def test_a_body_that_becomes_whole_soon_after_sigterm_is_kept_and_answered(served: Served, database: str) -> None:
    with served.connect() as late:
        late.sendall(HEAD + b"Content-Length: 200000\r\n\r\n" + b"a" * 1000)
        time.sleep(0.2)
        served.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        late.sendall(b"a" * 199_000)
        answer = read_all(late)

    assert served.process.wait(20) == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert states(database) == ["stored"]


def test_slow_heads_and_silent_connections_are_closed_within_ten_seconds(served: Served) -> None:
    def drip() -> None:
        for byte in b"X-Slow: " + b"a" * 100:
            try:
                dripping.send(bytes([byte]))
            except OSError:
                return
            time.sleep(0.5)

    with served.connect() as silent, served.connect() as partial, served.connect() as dripping:
        began = time.monotonic()
        partial.sendall(HEAD)
        dripping.sendall(HEAD)
        thread = threading.Thread(target=drip)
        thread.start()
        assert [read_all(talk) for talk in (silent, partial, dripping)] == [b"", b"", b""]
        assert 8 < time.monotonic() - began < 12
        thread.join()


def test_personal_data_is_in_no_line_of_the_log(environment: dict[str, str], database: str, tmp_path: Path) -> None:
    environment |= {"CALLBACK_SECRETS": "CANARYsecret,CANARYother"}
    headers = {"X-Name": "CANARYheader", "X-Original-Uri": "/callbacks/default/CANARYsecret"}
    with serve(environment, tmp_path) as served:
        served.until_ready("durable_write", "allowlist")
        for peer in (JUMIO, STRANGER):
            for path in ("/callbacks/default/CANARYsecret?n=CANARYquery", "/callbacks/CANARYpath", "/CANARY"):
                for body in (b"CANARYbody", b"CANARYlong" * 200_000):
                    with contextlib.suppress(ConnectionError):  # refused before it had sent all of it
                        served.request("POST", path, body, headers, peer=peer)
        with served.connect() as talk:
            talk.sendall(b"CANARY garbage\r\n\r\n")
            read_all(talk)
        with served.connect() as talk:
            talk.sendall(HEAD.replace(b"default", b"default/CANARYsecret") + b"Content-Length: 90\r\n\r\nCANARY")
        log, metrics = served.log.read_text(), served.metrics()

    assert "CANARY" not in served.log.read_text() + log + metrics
    with psycopg.connect(database) as conn:
        dump = str(conn.execute("SELECT callbacks::text FROM pipeline.callbacks").fetchall())
    assert "CANARY" not in dump
    assert b"CANARYsecret".hex() not in dump


def test_secrets_are_asked_for_and_a_wrong_one_is_as_an_unknown_tenant(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with serve(environment | {"CALLBACK_SECRETS": "new,old"}, tmp_path) as served:
        served.until_ready("durable_write", "allowlist")
        paths = ("default/new", "default/old/", "default", "default/wrong", "other/new", "default/new/new")
        answers = [served.request("POST", f"/callbacks/{path}", b"{}") for path in paths]

    assert [status for status, _, _ in answers] == [200, 200, 404, 404, 404, 404]
    assert len({str({**headers, "date": ""}) + str(body) for _, headers, body in answers[2:]}) == 1


def test_without_postgres_it_starts_answers_503_and_keeps_once_it_is_there(
    environment: dict[str, str], tmp_path: Path
) -> None:
    url = environment["DATABASE_URL"]
    later = make_conninfo(url, dbname="later")
    with serve(environment | {"DATABASE_URL": later}, tmp_path) as served:
        until(lambda: served.ready()["parts"]["allowlist"]["ok"])
        status, headers, _ = served.request("POST", "/callbacks/default", b"{}")
        door = served.request("GET", "/readyz/door")
        live = served.request("GET", "/livez")

        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("DROP DATABASE IF EXISTS later")
            conn.execute("CREATE DATABASE later")
        with psycopg.connect(later, autocommit=True) as conn:
            migrate(conn)
        until(lambda: served.post() == 200)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP DATABASE later WITH (FORCE)")

    assert status == 503
    assert 1 <= int(headers["retry-after"]) <= 10
    assert (door[0], live[0]) == (503, 200)
    assert "jumio-pipeline" in json.loads(door[2])["parts"]["durable_write"]["reason"]


def test_it_refuses_to_start_on_a_postgres_that_may_lose_commits(environment: dict[str, str], tmp_path: Path) -> None:
    with (
        setting(environment["DATABASE_URL"], "full_page_writes", "off"),
        pytest.raises(AssertionError, match="DurabilityError"),
        serve(environment, tmp_path),
    ):
        pass


def test_before_the_first_dns_answer_callbacks_are_kept_as_unverified(
    environment: dict[str, str], database: str, dns: DnsServer, tmp_path: Path
) -> None:
    for name in NAMES:
        dns.set(name, behaviour="servfail")
    with serve(environment, tmp_path) as served:
        served.until_ready("durable_write")
        assert served.post() == 200
        assert not served.ready()["parts"]["allowlist"]["ok"]
        for name in NAMES:
            dns.set(name, behaviour="normal")
        assert served.post(peer=JUMIO_TOO) == 200
        assert served.ready()["parts"]["allowlist"]["ok"]

    assert states(database) == ["unverified", "stored"]


def test_it_is_ready_when_a_worker_is_heard(environment: dict[str, str], database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("INSERT INTO pipeline.pulses (process, role) VALUES ('w', 'worker')")
    with serve(environment, tmp_path) as served:
        until(lambda: served.ready()["ready"])
        metrics = served.metrics()

    assert 'jumio_receiver_silent_seconds{role="worker"}' in metrics
    assert "jumio_receiver_allowlist_addresses 2.0" in metrics


def test_an_ended_process_left_nothing_on_disk_but_its_ready_file(served: Served, tmp_path: Path) -> None:
    served.process.terminate()
    served.process.wait(20)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]
    assert isinstance(served.process, subprocess.Popen)
