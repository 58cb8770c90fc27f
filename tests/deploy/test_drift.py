"""The list of what is not known, for people and for programs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from rich.console import Console

from deploy.drift import NOTHING, read_drift, read_totals, render_drift

LATELY = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _forget(conn: Connection) -> Iterator[None]:
    conn.execute("DELETE FROM pipeline.drift")
    yield
    conn.execute("DELETE FROM pipeline.drift")


def seen(conn: Connection, what: str, *, days_ago: float, **more: Any) -> None:
    row = {"tenant": "default", "family": "kyx", "times": 1, "example": "null", **more}
    conn.execute(
        "INSERT INTO pipeline.drift "
        "VALUES (%(tenant)s, %(family)s, %(what)s, %(first)s, %(last)s, %(times)s, %(example)s)",
        {**row, "what": what, "first": LATELY - timedelta(days=100), "last": LATELY - timedelta(days=days_ago)},
    )


def shown(conn: Connection, **options: Any) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render_drift(read_drift(conn, **options), read_totals(conn)))
    return capture.get()


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "COLUMNS": "160"}  # noqa: TID251
    return subprocess.run(
        [sys.executable, "-m", "deploy", "drift", *arguments],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_latest_is_first(conn: Connection) -> None:
    seen(conn, "old:one", days_ago=9)
    seen(conn, "new:one", days_ago=1, tenant="acme", family="netverify", times=7, example='{"a": "number"}')

    [new, old] = read_drift(conn)

    assert (old["what"], old["times"]) == ("old:one", 1)
    assert new == {
        "what": "new:one",
        "family": "netverify",
        "tenant": "acme",
        "first_seen_at": (LATELY - timedelta(days=100)).isoformat(),
        "last_seen_at": (LATELY - timedelta(days=1)).isoformat(),
        "times": 7,
        "example": '{"a": "number"}',
    }


def test_since_leaves_out_what_was_seen_longer_ago(conn: Connection) -> None:
    seen(conn, "old:one", days_ago=9)
    seen(conn, "new:one", days_ago=1)

    assert [row["what"] for row in read_drift(conn, days=2)] == ["new:one"]
    assert [row["what"] for row in read_drift(conn, days=10)] == ["new:one", "old:one"]


def test_totals_are_of_each_tenant_and_family(conn: Connection) -> None:
    seen(conn, "a:one", days_ago=1, times=3)
    seen(conn, "a:two", days_ago=2, times=4)
    seen(conn, "a:one", days_ago=1, tenant="acme")

    totals = read_totals(conn)

    assert [(row["tenant"], row["family"], row["kinds"], row["times"]) for row in totals] == [
        ("acme", "kyx", 1, 1.0),
        ("default", "kyx", 2, 7.0),
    ]
    assert totals[0]["newest_kind_at"] == pytest.approx((LATELY - timedelta(days=100)).timestamp(), abs=1)


def test_people_see_examples_as_they_are(conn: Connection) -> None:
    seen(conn, "not_list:parts", days_ago=1, times=12, example='{"parts": [null]}')

    text = shown(conn)

    assert '{"parts": [null]}' in text
    assert "default, kyx: 1 kinds, 12 times" in text
    assert shown(conn, days=1).strip() == NOTHING


def test_the_command_says_so_when_there_is_nothing(database_url: str) -> None:
    result = command(database_url)

    assert (result.returncode, result.stdout, result.stderr) == (0, f"{NOTHING}\n", "")
    assert json.loads(command(database_url, "--json").stdout) == []


def test_the_command_lists(conn: Connection, database_url: str) -> None:
    seen(conn, "cut:name", days_ago=3)

    assert "cut:name" in command(database_url).stdout
    assert [row["what"] for row in json.loads(command(database_url, "--json", "--since", "4").stdout)] == ["cut:name"]
    assert command(database_url, "--json", "--since", "2").stdout == "[]\n"
    assert command(database_url, "--since", "0").returncode == 2
