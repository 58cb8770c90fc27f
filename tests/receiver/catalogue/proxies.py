"""nginx and haproxy as they are installed, with the files that deploy/ ships: only addresses and paths are replaced."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

DEPLOY = Path(__file__).parents[3] / "deploy"
BALANCER = "127.0.0.5"


@contextlib.contextmanager
def nginx(folder: Path, receiver: int, other: int | None = None, *, behind_a_balancer: bool = False) -> Iterator[int]:
    """The port on which it speaks TLS; in front of one receiver, or two."""
    port, (certificate, key) = free_port(), certified(folder)
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    if behind_a_balancer:
        text = text.replace("        listen 443 ssl;\n", "").replace("#PROXY ", "")
    text = edited(text, {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server 10.0.0.21:8080": f"server 127.0.0.1:{receiver}",
        "server 10.0.0.22:8080": f"server 127.0.0.1:{other or receiver}",
        "10.0.0.5/32": f"{BALANCER}/32",
        "/etc/ssl/jumio-pipeline.pem": str(certificate),
        "/etc/ssl/jumio-pipeline.key": str(key),
        "/run/nginx.pid": str(folder / "nginx.pid"),
        "/var/log/nginx/jumio-pipeline.log": str(folder / "access.log"),
    })  # fmt: skip
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    command = ["nginx", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with _running(command, folder / "nginx.log", port):
        yield port


@contextlib.contextmanager
def haproxy(folder: Path, receiver: int, other: int | None = None, *, behind_a_balancer: bool = False) -> Iterator[int]:
    """The port on which it speaks TLS; in front of one receiver, or two."""
    port, (certificate, key) = free_port(), certified(folder)
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    if behind_a_balancer:
        text = text.replace("#PROXY ", "")
    if os.geteuid() != 0:
        text = text.replace("    user haproxy\n    group haproxy\n", "")
    text = edited(text, {
        "bind :443": f"bind 127.0.0.1:{port}",
        "server one 10.0.0.21:8080": f"server one 127.0.0.1:{receiver}",
        "server two 10.0.0.22:8080": f"server two 127.0.0.1:{other or receiver}",
        "10.0.0.5": BALANCER,
        "/etc/ssl/jumio-pipeline-with-key.pem": str(both),
    })  # fmt: skip
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    with _running(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], folder / "haproxy.log", port):
        yield port


PROXIES = {"nginx": nginx, "haproxy": haproxy}


def is_installed(name: str) -> bool:
    """Debian has them where only root looks."""
    return shutil.which(name, path=path_of_programs()) is not None


def edited(text: str, changes: Mapping[str, str]) -> str:
    """The file with these replaced; one that is not in it any more is a mistake of this module."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate of an RSA key, as most have one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "callbacks.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return files


def client_context() -> ssl.SSLContext:
    """Of a client that believes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={"PATH": path_of_programs()})
    try:
        deadline = time.monotonic() + 10
        while not listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def path_of_programs() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"  # noqa: TID251 - where programs are, not a setting
