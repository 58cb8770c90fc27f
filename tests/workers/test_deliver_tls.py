"""TLS to a subscriber: verified against the name, whatever address it has, before a byte of the event leaves."""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.events.signing import new_secret
from workers.destinations.webhook import Answer, Webhooks
from workers.errors import SubscriberAwayError


def local(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def send(url: str, tls: ssl.SSLContext | None = None) -> Answer:
    webhooks = Webhooks(private=(ip_network("127.0.0.0/8"),), tls=tls, resolve=local, seconds=2.0)
    return webhooks.send(url, secrets=[new_secret()], event_id="id", body=b"{}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hooks.example, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("hooks.example"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + private)
    return path


@pytest.fixture
def secure(open_subscriber: Callable[..., Any], certificate: Path) -> Any:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    return open_subscriber(tls)


def test_tls_is_verified_against_the_name_and_not_the_address(secure: Any, certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))

    answer = send(f"https://hooks.example:{secure.port}/", trusting)
    assert answer.taken

    with pytest.raises(SubscriberAwayError, match="SSLCertVerificationError"):
        send(f"https://other.example:{secure.port}/", trusting)
    assert len(secure.requests) == 1


def test_an_untrusted_certificate_is_refused_and_nothing_is_sent(secure: Any) -> None:
    with pytest.raises(SubscriberAwayError, match="ConnectError; SSLCertVerificationError"):
        send(f"https://hooks.example:{secure.port}/")

    assert secure.connections == 1
    assert secure.requests == []


def test_a_subscriber_without_tls_gets_nothing_over_https() -> None:
    got = []

    def answer_in_clear(listener: socket.socket) -> None:
        talk, _ = listener.accept()
        with talk:
            got.append(talk.recv(65536))
            talk.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer_in_clear, args=[listener])
        server.start()
        with pytest.raises(SubscriberAwayError, match="SSL"):
            send(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        server.join()

    assert not any(b"POST" in data for data in got)
