"""Each import contract, broken on purpose in a copy, is seen to break; unbroken, all of them hold."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("receiver", "workers", "feed", "schemas", "deploy")
LAYERS = "deploy -> feed -> receiver | workers -> schemas"
DOOR = "The receiver loads neither Celery nor an HTTP client"
FEED = "The feed is served as the door is, and loads no worker"
SHAPES = "Schemas do no I/O"
VERDICT = "A verdict reaches no store, no client, no broker"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> "subprocess.CompletedProcess[str]":
    """As `make check` does, on a folder of its own: the working folder is searched first."""
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_as_it_stands_every_contract_holds(copied: Path) -> None:
    done = lint(copied)

    assert done.returncode == 0, done.stdout
    for name in (LAYERS, FEED, DOOR, SHAPES, VERDICT):
        assert f"{name} KEPT" in done.stdout


@pytest.mark.parametrize(
    ("module", "planted", "broken"),
    [
        ("receiver/intake.py", "import workers.broker", {LAYERS, DOOR, FEED}),
        ("receiver/source.py", "import deploy.migrate", {LAYERS}),
        ("receiver/inbox.py", "import celery", {DOOR, FEED}),
        ("receiver/allowlist.py", "import httpx2", {DOOR, FEED}),
        ("workers/fetch.py", "import receiver.source", {LAYERS}),
        ("workers/relay.py", "import deploy.requeue", {LAYERS}),
        ("workers/decide.py", "from workers import store", {VERDICT}),
        ("workers/decide.py", "import psycopg", {VERDICT}),
        ("feed/store.py", "from workers import store", {FEED}),
        ("feed/app.py", "import redis", {FEED}),
        ("receiver/intake.py", "import feed.cursor", {LAYERS}),
        ("schemas/verdict.py", "import psycopg", {SHAPES, VERDICT}),
        ("schemas/logs.py", "import socket", {SHAPES}),
        ("schemas/callbacks/kyx.py", "import deploy.requeue", {LAYERS, SHAPES}),
        ("schemas/sealing.py", "def late() -> None:\n    import workers.errors", {LAYERS, FEED}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_forbidden_import_is_seen(copied: Path, module: str, planted: str, broken: set[str]) -> None:
    with (copied / module).open("a") as source:
        source.write(f"\n\n{planted}\n")

    done = lint(copied)

    assert done.returncode == 1, done.stdout + done.stderr
    assert {name for name in (LAYERS, FEED, DOOR, SHAPES, VERDICT) if f"{name} BROKEN" in done.stdout} == broken
