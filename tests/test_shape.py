"""The house style, counted: lengths, log names, settings in env.example, and nothing named that may not be."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.log_events import EVENTS
from schemas.settings import Settings

ROOT = Path(__file__).parent.parent
PACKAGES = ("receiver", "workers", "feed", "schemas", "deploy")
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
_LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_fits_in_the_head_and_its_functions_in_the_eye(path: Path) -> None:
    assert path.read_text().count("\n") <= LONGEST_FILE
    assert long_functions(path) == []


def test_no_test_is_longer_than_what_it_tests_may_be() -> None:
    long = {str(path.relative_to(ROOT)): long_functions(path) for path in (ROOT / "tests").rglob("*.py")}

    assert {path: functions for path, functions in long.items() if functions} == {}


def long_functions(path: Path) -> list[str]:
    return [
        f"{node.name}: {length}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_log_event_is_a_constant_from_the_list(path: Path) -> None:
    unknown = [name for name in logged_names(path) if name not in EVENTS]

    assert unknown == []


def test_the_list_of_log_events_holds_nothing_that_is_not_logged() -> None:
    logged = {name for path in modules() for name in logged_names(path)} | {"library.logged"}

    assert sorted(EVENTS - logged) == []


def test_env_example_names_every_setting_once() -> None:
    names = re.findall(r"^#? ?([A-Z][A-Z_]+)=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE)

    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_nothing_refers_to_what_is_not_part_of_the_project() -> None:
    """Neither the folder it was designed in nor the host of a package index, which an installer may choose."""
    forbidden = (
        "../" + "shared",
        "/work/" + "shared",
        "pypi." + "org",
        "python" + "hosted",
        "npm" + "js",
        "debian." + "org",
    )
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = [
        f"{name}: {word}"
        for name in files.split("\0")
        if name and (ROOT / name).is_file()
        for word in forbidden
        if word in (ROOT / name).read_text(errors="ignore")
    ]

    assert named == []


def logged_names(path: Path) -> Iterator[str]:
    """The first argument of every call of a logger; one that is no constant text is yielded as it is written."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS):
            continue
        target = ast.unparse(node.func.value)
        if target not in {"log", "structlog.get_logger()"}:
            continue
        first = node.args[0]
        names = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        for name in names:
            yield name.value if isinstance(name, ast.Constant) else ast.unparse(name)
