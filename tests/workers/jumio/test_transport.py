"""What a hostile, broken or merely slow server can do, over real sockets."""

import datetime as dt
import gzip
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.workers.jumio.scripted import Asked, Script, Server, reply
from workers.errors import (
    JumioAnswerError,
    JumioAwayError,
    JumioNotFoundError,
    JumioRefusedError,
    LineError,
    ParkError,
    TryAgainError,
)
from workers.jumio.deadline import within
from workers.jumio.transport import Answer, Http, read_wish, require_ok

Serve = Callable[[Callable[[Asked], Script]], Server]
CANARY = "c4naryc4nary"


def ask(http: Http, server: Server, at_most: int = 1000) -> bytes:
    headers = {"User-Agent": "Acme Kyc/1.0", "Authorization": f"Bearer {CANARY}"}
    answer = http.ask(f"{server.url}/{CANARY}", asked="details", headers=headers, at_most=at_most)
    return require_ok(answer, asked="details")


def test_what_is_asked_is_identity_encoded_and_carries_only_our_headers(serve: Serve, http: Http) -> None:
    server = serve(lambda _: [reply(200, b"{}")])

    body = ask(http, server)

    assert body == b"{}"
    [asked] = server.asked
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"] == "Acme Kyc/1.0"
    assert "cookie" not in asked.headers


def test_cookies_are_never_sent_back(serve: Serve, http: Http) -> None:
    server = serve(lambda _: [reply(200, b"{}", set_cookie="a=b")])

    ask(http, server)
    ask(http, server)

    assert all("cookie" not in asked.headers for asked in server.asked)


def test_a_redirect_is_not_followed(serve: Serve, http: Http) -> None:
    elsewhere = serve(lambda _: [reply(200, b"{}")])
    server = serve(lambda _: [reply(302, b"", location=f"{elsewhere.url}/stolen")])

    with pytest.raises(JumioAnswerError):
        ask(http, server)

    assert elsewhere.asked == []


STATUSES = [
    (201, JumioAnswerError), (204, JumioAnswerError), (301, JumioAnswerError), (307, JumioAnswerError),
    (400, JumioRefusedError), (401, JumioRefusedError), (403, JumioRefusedError), (404, JumioNotFoundError),
    (408, JumioAwayError), (410, JumioRefusedError), (418, JumioRefusedError), (429, JumioAwayError),
    (500, JumioAwayError), (502, JumioAwayError), (503, JumioAwayError), (504, JumioAwayError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error"), STATUSES)
def test_each_status_means_one_error(serve: Serve, http: Http, status: int, error: type[LineError]) -> None:
    html = Path("tests/fixtures/errors/gateway_502.html").read_bytes()
    server = serve(lambda _: [reply(status, b"" if status == 204 else html, location="http://127.0.0.1:9/")])

    with pytest.raises(error) as raised:
        ask(http, server)

    assert type(raised.value) is error
    assert f"answered {status}" in str(raised.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [status for status, _ in STATUSES])
def test_an_answer_knows_whether_its_sender_is_away(status: int) -> None:
    assert Answer(status).is_away is (dict(STATUSES)[status] is JumioAwayError)


def test_a_refusal_tells_the_operator_what_to_check() -> None:
    with pytest.raises(JumioRefusedError, match="JUMIO_USER_AGENT"):
        require_ok(Answer(403), asked="details")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12.0), ("0", 0.0), (" 7 ", 7.0), ("9" * 400, 3600.0), ("99999", 3600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("\u0664", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)  # fmt: skip
def test_both_forms_of_retry_after_are_read_and_capped(header: str | None, seconds: float | None) -> None:
    assert read_wish(header) == seconds


def test_a_date_in_retry_after_counts_from_now() -> None:
    header = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90), usegmt=True)

    assert 85 < (read_wish(header) or 0) <= 90


def test_the_wish_travels_with_the_error(serve: Serve, http: Http) -> None:
    server = serve(lambda _: [reply(429, b"{}", retry_after="17")])

    with pytest.raises(JumioAwayError) as raised:
        ask(http, server)

    assert raised.value.retry_after == 17.0


def test_no_wish_is_no_wish(serve: Serve, http: Http) -> None:
    server = serve(lambda _: [reply(429)])

    with pytest.raises(JumioAwayError) as raised:
        ask(http, server)

    assert raised.value.retry_after is None


def drip(piece: bytes) -> Script:
    yield from itertools.chain.from_iterable((bytes([byte]), 0.05) for byte in itertools.chain(piece, b"x" * 500))


@pytest.mark.parametrize(
    "start",
    [
        pytest.param([reply(200, content_length="900")], id="body"),
        pytest.param([b"HTTP/1.1 200 OK\r\nx: "], id="headers"),
        pytest.param([], id="first line"),
    ],
)
def test_a_drip_ends_at_the_deadline(serve: Serve, http: Http, start: list[bytes]) -> None:
    server = serve(lambda _: itertools.chain(start, drip(b"")))
    began = time.monotonic()

    with pytest.raises(JumioAwayError):
        ask(http, server)

    assert time.monotonic() - began < 1.5


def test_silence_ends_at_the_deadline(serve: Serve, http: Http) -> None:
    server = serve(lambda _: [3.0])

    with pytest.raises(JumioAwayError, match="ReadTimeout"):
        ask(http, server)


def test_questions_of_one_row_share_its_deadline(serve: Serve, http: Http) -> None:
    server = serve(lambda _: [0.3, reply(200, b"{}")])

    with within(0.5):
        assert ask(http, server) == b"{}"
        with pytest.raises(JumioAwayError, match="ReadTimeout"):
            ask(http, server)


BAD_BODIES = [
    pytest.param([reply(200, b"{", content_length="900")], id="cut off"),
    pytest.param([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"], id="cut off within a chunk"),
    pytest.param([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{"], id="no chunk"),
    pytest.param([reply(200, b"x" * 1001)], id="too large"),
    pytest.param([b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001], id="too large without a length"),
    pytest.param([reply(200, gzip.compress(b"{}"), content_encoding="gzip")], id="gzip"),
    pytest.param([reply(200, b"{}", content_encoding="br")], id="br"),
    pytest.param([reply(200, b"{}", content_encoding="identity, gzip")], id="twice encoded"),
]


@pytest.mark.parametrize("script", BAD_BODIES)
def test_a_body_that_is_not_whole_plain_and_small_is_no_answer(serve: Serve, http: Http, script: list[bytes]) -> None:
    server = serve(lambda _: script)

    with pytest.raises(JumioAnswerError):
        ask(http, server)


def test_a_bomb_is_left_unread(serve: Serve, http: Http) -> None:
    sent = []

    def endless() -> Script:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        for _ in range(4000):
            sent.append(1)
            yield b"x" * 65536

    server = serve(lambda _: endless())

    with pytest.raises(JumioAnswerError, match="larger"):
        ask(http, server)

    assert len(sent) < 400


NOT_HTTP = [
    pytest.param([], id="closed at once"),
    pytest.param([b"SSH-2.0-OpenSSH_9.6\r\n"], id="another protocol"),
    pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"], id="a negative length"),
    pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"], id="two lengths"),
    pytest.param([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000], id="endless headers"),
    pytest.param([b"HTTP/1.1 302 X\r\nlocation: http://[\r\ncontent-length: 0\r\n\r\n"], id="no location"),
]


@pytest.mark.parametrize("script", NOT_HTTP)
def test_what_is_not_http_is_tried_again_later(serve: Serve, http: Http, script: list[bytes]) -> None:
    server = serve(lambda _: script)

    with pytest.raises(TryAgainError):
        ask(http, server)


def test_a_closed_port_is_away(http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(JumioAwayError, match="ConnectError"):
        http.ask(f"http://127.0.0.1:{port}/", asked="details", headers={}, at_most=10)


@pytest.mark.parametrize("script", [[reply(403, b"{}")], [reply(500)], [reply(301, location=f"http://{CANARY}/")], []])
def test_an_error_shows_no_url_header_or_body(serve: Serve, http: Http, script: list[bytes]) -> None:
    server = serve(lambda _: script)

    with pytest.raises((ParkError, TryAgainError)) as raised:
        ask(http, server)

    assert CANARY not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_certificate_of_its_own_gets_no_credentials(tmp_path: Path, http: Http) -> None:
    certificate = self_signed(tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake_hands, args=[listener, context, seen])
        thread.start()

        with pytest.raises(JumioAwayError, match="ConnectError from SSLCertVerificationError"):
            http.ask(
                f"https://127.0.0.1:{listener.getsockname()[1]}/",
                asked="details",
                headers={"Authorization": CANARY},
                at_most=10,
            )

        thread.join()
    assert seen == []


def shake_hands(listener: socket.socket, context: ssl.SSLContext, seen: list[bytes]) -> None:
    connection, _ = listener.accept()
    with connection:
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                seen.append(wrapped.recv(1000))
        except OSError:
            return


def self_signed(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path
