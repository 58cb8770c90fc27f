"""JSONTestSuite through the real path: 200 and every byte kept, whatever it is; then parked for what it is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg import Connection

from schemas.sealing import KeyRing
from tests.json_suite import json_suite
from tests.line.conftest import Hand
from tests.receiver.serving import JUMIO, Served, serve

# A list, a text or a number is no callback of Jumio's; what begins like neither list nor object is read as a form.
NO_CALLBACK, NOT_READ = {"family", "empty"}, {"json", "encoding", "number", "depth", "duplicate_keys", "nul_character"}


@pytest.fixture
def receiver(database_url: str, ring: str, tmp_path: Path) -> Iterator[Served]:
    environment = {
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": ring,
        "BIND": "127.0.0.1:0",
        "METRICS_BIND": "127.0.0.1:0",
        "SOURCE_EXTRA": JUMIO,
        "DNS_SERVERS": "127.0.0.1:1",
        "LOG_FORMAT": "json",
    }
    with serve(environment, tmp_path) as served:
        served.until_ready("durable_write")
        yield served


def test_every_case_is_kept_to_the_byte_and_parked_for_what_it_is(
    conn: Connection, hand: Hand, receiver: Served, ring: str
) -> None:
    suite = json_suite()

    with ThreadPoolExecutor(8) as callers:
        assert set(callers.map(receiver.post, suite.values())) == {200}
    hand.run_until_idle()

    keys = KeyRing.parse(ring)
    rows = conn.execute("SELECT id, sealed_body, state, last_error FROM pipeline.callbacks").fetchall()
    found = [(keys.unseal(sealed, place=f"callbacks.body/{number}"), state, why) for number, sealed, state, why in rows]
    assert sorted(body for body, _, _ in found) == sorted(suite.values())
    assert {state for _, state, _ in found} == {"parked"}
    reasons = {body: why.partition(":")[0] for body, _, why in found}
    assert set(reasons.values()) <= NO_CALLBACK | NOT_READ
    # What opens a list or an object and is no JSON is never taken for another's callback.
    refused = {name for name, body in suite.items() if name.startswith("n_") and body.startswith((b"[", b"{"))}
    assert {reasons[suite[name]] for name in refused} <= NOT_READ
