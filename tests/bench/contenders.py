"""Who is compared: each a server process of its own, on the same Postgres and Valkey."""

import hashlib
import hmac
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psycopg

from deploy.embedded.services import ServiceUrls
from schemas.sealing import KeyRing
from schemas.settings import inherited_environment

APPS = Path("tests/bench/apps")
# The peers' own environment: nothing of theirs is in the product's lock file.
PEERS = ".venv-bench/bin/python"
STRIPE_BODY = Path("tests/bench/stripe_event.json")
BODY = Path("tests/fixtures/callbacks/kyx/processed_full.json")
_STRIPE_SECRET = "whsec_bench"
_STRIPE_ENDPOINT = "5b7a5c3e-6a4e-4e0f-9a58-0f2a7f1c9d11"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Contender:
    """One way to acknowledge a callback. `kept`: the query that counts its rows, if it has any."""

    letter: str
    title: str
    command: tuple[str, ...]
    path: str = "/callbacks/default"
    kept: str = ""
    peer: bool = False


def _app(name: str, python: str = sys.executable) -> tuple[str, ...]:
    return (python, str(APPS / f"{name}.py"), "{port}")


_RECEIVER = (sys.executable, "-m", "deploy", "receiver")
_GUNICORN = (".venv-bench/bin/gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--chdir", str(APPS))
_BENCH_ROWS = "SELECT count(*) FROM bench"
CONTENDERS = (
    Contender("a", "floor: reads and answers", _app("floor")),
    Contender("b", "jumio-pipeline, durable", _RECEIVER, kept="SELECT count(*) FROM pipeline.callbacks"),
    Contender("c", "INSERT + commit a request", _app("insert"), kept=_BENCH_ROWS),
    Contender("d", "Celery delay a request", _app("delay")),
    Contender("e", "async SQLAlchemy + Celery delay", _app("alchemy", PEERS), kept=_BENCH_ROWS, peer=True),
    Contender(
        "f",
        "dj-stripe, gunicorn, 2 workers",
        (*_GUNICORN, "--log-level", "error", "stripe_site:application"),
        path=f"/stripe/webhook/{_STRIPE_ENDPOINT}/",
        kept="SELECT count(*) FROM djstripe_webhookeventtrigger",
        peer=True,
    ),
)


def obstacle(contender: Contender) -> str:
    """Why it cannot run here; empty if it can."""
    return "no .venv-bench: run make bench" if contender.peer and not Path(PEERS).exists() else ""


def prepare(urls: ServiceUrls, contender: Contender) -> None:
    """Its tables."""
    with psycopg.connect(urls.database_url, autocommit=True) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS bench (id bigserial PRIMARY KEY, body bytea NOT NULL)")
    if contender.letter == "f":
        code = f"import stripe_site; stripe_site.prepare({_STRIPE_SECRET!r})"
        environment = inherited_environment() | {"DATABASE_URL": urls.database_url}
        subprocess.run([str(Path(PEERS).absolute()), "-c", code], cwd=APPS, env=environment, check=True)


@contextmanager
def running(contender: Contender, urls: ServiceUrls, port: int, log: Path) -> Iterator[None]:
    """The server, from its first answer to its end."""
    environment = inherited_environment() | {
        "DATABASE_URL": urls.database_url,
        "BROKER_URL": urls.broker_url,
        "ENCRYPTION_KEYS": KeyRing.generate(),
        "BIND": f"127.0.0.1:{port}",
        "METRICS_BIND": "127.0.0.1:0",
        # The load is Jumio here: admitted as it would be, by a rule.
        "SOURCE_EXTRA": "127.0.0.1/32",
        "SOURCE_HOSTS": "callback.test",
        "DNS_SERVERS": "127.0.0.1:1",
        "LOG_FORMAT": "json",
        "SPOOL_DIR": str(log.parent / "spool"),
    }
    command = [part.format(port=port) for part in contender.command]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, env=environment, stdout=errors, stderr=errors)
    try:
        _wait_until_answering(process, port, log)
        yield
    finally:
        process.terminate()
        process.wait()


def signature(body: bytes) -> str:
    """As Stripe signs: fresh for as long as a bench takes."""
    now = int(time.time())
    digest = hmac.new(_STRIPE_SECRET.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


def load_environment(contender: Contender) -> Mapping[str, str]:
    """What the load generator's script reads."""
    if contender.letter != "f":
        return {"BENCH_BODY": str(BODY.absolute()), "PATH": os.defpath}
    # The same callback within what dj-stripe takes for an event.
    signed = signature(STRIPE_BODY.read_bytes())
    return {"BENCH_BODY": str(STRIPE_BODY.absolute()), "BENCH_SIGNATURE": signed, "PATH": os.defpath}


def _wait_until_answering(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse()
        except OSError:
            time.sleep(0.1)
        else:
            # The receiver is then connected to Postgres, the pools are filled.
            time.sleep(1)
            return
    raise SystemExit(f"{process.args!r} does not answer; its log is {log}")
