"""Whatever is posted and whatever Jumio says: 200 at the door, then a verdict or a parked row; never a wrong pass."""

import json
import os
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from schemas.settings import Settings
from schemas.sql.queries import WAITING
from tests.line.conftest import Hand
from tests.line.test_steps import view
from tests.receiver.serving import JUMIO, KEYS, serve
from tests.schemas.test_mutations import (
    ANSWERS,
    AUTHENTICATED,
    BODIES,
    KYX_ACCOUNT,
    KYX_KEY,
    PAPER,
    SCAN,
    answers_pass,
    json_mutated,
    load,
    rearranged,
    struck,
)
from tests.workers.jumio.scripted import Asked, Script, Server, reply
from workers.tools import Tools

CALLBACKS = 300
# Ours, and those of the readers; anything else would be a crash that was only survived.
PARKED_FOR = re.compile(
    r"(empty|family|encoding|json|depth|number|duplicate_keys|nul_character|shape|id|form|size|jumio_not_found|"
    r"jumio_not_ready|jumio_answer|jumio_away|mismatch|unreadable|withheld|too_large): "
)
SEED = int(os.environ.get("MUTATION_SEED", random.randrange(10**6)))  # noqa: TID251 - to repeat a failure
FAMILIES = {family.NAME: (family, documents) for family, _, documents, _ in reversed(ANSWERS)}
PATHS = {
    "netverify": ("scans", {"status": "", "data": "/data", "images": "/images"}),
    "authentication": ("authentications", {"authentication": ""}),
    "document": ("documents", {"status": "", "data": "/data", "pages": "/pages"}),
}


class MutatedJumio:
    """Serves the samples under whatever id is asked for, every other of them mutated; remembers what may pass."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.may_pass: set[str] = set()

    def __call__(self, asked: Asked) -> Script:
        path = asked.path
        if path == "/oauth2/token":
            return [reply(200, b'{"access_token": "t", "expires_in": 3600}')]
        if found := re.fullmatch(r"/api/v1/accounts/([^/]+)/workflow-executions/([^/]+)(/steps|/status)?", path):
            return [self._kyx(*found.groups(default=""))]
        if found := re.fullmatch(
            r"/api/netverify/v2/(scans|authentications|documents)/([^/]+)(/data|/images|/pages)?", path
        ):
            return [self._legacy(*found.groups(default=""))]
        return [reply(200, b"\xff\xd8\xff a picture")]

    def _kyx(self, account: str, workflow: str, which: str) -> bytes:
        if which == "/status":
            shown = load("kyx/status_processed.json") | {"account": {"id": account}}
            shown["workflowExecution"] |= {"id": workflow}
            return reply(200, json.dumps(shown).encode())
        if which == "/steps":
            return reply(200, json.dumps(self._maybe_mutated(load("kyx/steps.json"), workflow + which)).encode())
        text = json.dumps(load("kyx/details_minimal.json")).replace(KYX_KEY, workflow).replace(KYX_ACCOUNT, account)
        shown = self._maybe_mutated(json.loads(text), workflow)
        if _says(shown, "workflow", "status") == "PROCESSED" and _says(shown, "decision", "type") == "PASSED":
            self.may_pass.add(workflow)
        return reply(200, json.dumps(shown).encode())

    def _legacy(self, root: str, key: str, which: str) -> bytes:
        [(name, paths)] = [(name, paths) for name, (at, paths) in PATHS.items() if at == root]
        family, documents = FAMILIES[name]
        text = json.dumps(documents)
        for sample in (SCAN, AUTHENTICATED, PAPER):
            text = text.replace(sample, key)
        shown = {part: self._maybe_mutated(each, key + part) for part, each in json.loads(text).items()}
        try:
            may = answers_pass(family, shown)
        except (KeyError, TypeError, ValueError, AttributeError):
            may = False
        if may:
            self.may_pass.add(key)
        [part] = [part for part, path in paths.items() if path == which]
        return reply(200, json.dumps(shown[part]).encode())

    def _maybe_mutated(self, document: Any, place: str) -> Any:
        """The same at every time of asking: a retry is no other world."""
        rng = random.Random(f"{self._seed} {place}")
        return json_mutated(document, rng) if rng.random() < 0.5 else document


def _says(shown: Any, *path: str) -> object:
    for name in path:
        shown = shown.get(name) if isinstance(shown, dict) else None
    return shown.strip() if isinstance(shown, str) else shown


@pytest.fixture
def jumio() -> Iterator[tuple[MutatedJumio, str]]:
    mutated = MutatedJumio(SEED)
    with Server(mutated) as server:
        yield mutated, server.url


@pytest.fixture
def settings(jumio: tuple[MutatedJumio, str], database_url: str, broker_url: str) -> Settings:
    hosts = ("AUTH", "ACCOUNT", "API", "RETRIEVAL", "STATUS", "LEGACY", "LEGACY_DOCUMENTS")
    return Settings.load(
        "worker",
        {
            **{f"JUMIO_{host}_URL": jumio[1] for host in hosts},
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "ENCRYPTION_KEYS": KEYS,
            "JUMIO_CLIENT_ID": "client",
            "JUMIO_CLIENT_SECRET": "secret",
            "JUMIO_LEGACY_TOKEN": "token",
            "JUMIO_LEGACY_SECRET": "secret",
            "JUMIO_USER_AGENT": "Acme Kyc/1.0",
            "JUMIO_RETRY_SECONDS": "0",
            "JUMIO_RETRIEVAL_RATE": "1000/s",
            "JUMIO_LEGACY_RATE": "1000/s",
            "SOURCE_ALLOW_PRIVATE": "true",
        },
    )


def mutants() -> Iterator[bytes]:
    rng = random.Random(SEED)
    names = sorted(BODIES)
    for number in range(CALLBACKS):
        body = BODIES[names[number % len(names)]]
        for _ in range(rng.randrange(3)):
            body = rearranged(body, rng) if rng.random() < 0.5 else struck(body, rng)
        yield body


def test_every_callback_ends_in_a_verdict_or_a_parked_row(
    conn: Connection, jumio: tuple[MutatedJumio, str], settings: Settings, tools: Tools, tmp_path: Path
) -> None:
    environment = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "ENCRYPTION_KEYS": KEYS,
        "BIND": "127.0.0.1:0",
        "METRICS_BIND": "127.0.0.1:0",
        "SOURCE_EXTRA": JUMIO,
        "DNS_SERVERS": "127.0.0.1:1",
        "LOG_FORMAT": "json",
    }
    with serve(environment, tmp_path) as receiver, ThreadPoolExecutor(8) as callers:
        receiver.until_ready("durable_write")
        assert set(callers.map(receiver.post, mutants())) == {200}, f"MUTATION_SEED={SEED}"

    Hand(conn, tools).run_until_idle()

    rows = view(conn, "callbacks")
    assert len(rows) == CALLBACKS
    assert {row["state"] for row in rows} <= {"done", "parked"}, f"MUTATION_SEED={SEED}"
    strange = {row["reason"] for row in rows if row["state"] == "parked" and not PARKED_FOR.match(row["reason"])}
    assert not strange, f"MUTATION_SEED={SEED}"
    assert sum(row["state"] == "done" for row in rows) > CALLBACKS / 5
    passed = {row["workflow_key"] for row in view(conn, "workflows") if row["outcome"] == "passed"}
    assert passed <= jumio[0].may_pass, f"MUTATION_SEED={SEED}"
    assert not [table for table in WAITING if Hand(conn, tools).due(table)]
