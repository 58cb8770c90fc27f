"""Several tenants at one door: each with its path and its own secrets; nobody learns which there are."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.receiver.serving import STRANGER, Served, serve

TENANTS = """
[acme]
callback_secrets = ["acme-new", "acme-old"]
# A worker's, and not mounted where a receiver runs.
jumio_client_secret_file = "/nowhere/acme"

[globex]
callback_secrets = ["globex-word"]

[open]
callback_secrets = []
"""


@pytest.fixture
def door(environment: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    file = tmp_path / "tenants.toml"
    file.write_text(TENANTS)
    with serve({**environment, "JUMIO_TENANTS_FILE": str(file), "CALLBACK_SECRETS": "of-all"}, tmp_path) as receiver:
        receiver.until_ready("durable_write", "allowlist")
        yield receiver


def test_each_tenant_has_its_path_and_its_secrets(door: Served, database: str) -> None:
    for path in ("acme/acme-new", "acme/acme-old", "globex/globex-word/", "open"):
        assert door.post(path.encode(), f"/callbacks/{path}") == 200

    with psycopg.connect(database) as conn:
        rows = conn.execute("SELECT tenant, state FROM pipeline.callbacks ORDER BY received_at").fetchall()
    assert rows == [("acme", "stored"), ("acme", "stored"), ("globex", "stored"), ("open", "stored")]


def test_whatever_is_wrong_with_a_path_is_answered_alike(door: Served, database: str) -> None:
    paths = (
        "default", "default/of-all", "nobody", "nobody/acme-new", "acme", "acme/", "acme/globex-word", "acme/of-all",
        "globex/acme-new", "acme/acme-new/more", "ACME/acme-new", "open/of-all", "",
    )  # fmt: skip

    answers = [door.request("POST", f"/callbacks/{path}", b"{}") for path in paths]

    told = [(status, {name: each for name, each in headers.items() if name != "date"}, body)
            for status, headers, body in answers]  # fmt: skip
    assert told == [told[0]] * len(paths)
    assert (told[0][0], told[0][2]) == (404, b"")
    with psycopg.connect(database) as conn:
        assert conn.execute("SELECT count(*) FROM pipeline.callbacks").fetchone() == (0,)


def test_a_refusal_says_for_which_tenant_it_was(door: Served) -> None:
    assert door.post(b"{}", "/callbacks/globex/globex-word", STRANGER) == 403

    [line] = [line for line in door.lines() if line["event"] == "callback.refused"]
    assert (line["tenant"], line["address"]) == ("globex", STRANGER)
    assert "globex-word" not in door.log.read_text()
