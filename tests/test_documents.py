"""The documents that operators read, against the code: nothing that wakes somebody is left without a word."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from deploy.__main__ import COMMANDS

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "deploy/runbook.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
README = (ROOT / "README.md").read_text()
PACKAGES = ("receiver", "workers", "feed", "schemas", "deploy")
# For development: nobody is woken by these.
_DEVELOPMENT = ("deploy/embedded/", "deploy/simulator/")
_ALARMS = {"error", "critical", "exception"}
# Kinds of errors that others are made of, and what never ends a row's turn as parked.
_NEVER_PARKED = {"LineError", "TryAgainError", "ParkError", "WaitError", "BudgetError", "ClosedError", "ErasedError"}


@cache
def trees() -> list[tuple[str, ast.Module]]:
    paths = {str(path.relative_to(ROOT)): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    return [(name, ast.parse(path.read_text())) for name, path in paths.items() if not name.startswith(_DEVELOPMENT)]


def alarms() -> set[str]:
    """Every event that is logged at error or critical."""
    return {
        argument.value
        for _, tree in trees()
        for call in calls(tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _ALARMS
        if ast.unparse(call.func.value) in {"log", "structlog.get_logger()"}
        for argument in ast.walk(call.args[0])
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def parking_codes() -> set[str]:
    """Every word before the colon of a parked row's reason."""
    codes: set[str] = set()
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and name.startswith("workers/") and node.name not in _NEVER_PARKED:
                codes.update(code_of(node))
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "UnreadableCallbackError":
                codes.add(ast.literal_eval(node.args[0]))
        # Written out where there is no class: crashed, unseal, oversize.
        if name == "workers/work.py":
            codes.update(found[1] for text in texts(tree) if (found := re.match(r"([a-z_]+): ", text)))
        elif name.startswith(("workers/", "receiver/")):
            codes.update(re.findall(r"""['"]parked['"], (?:error=)?f?['"]([a-z_]+): """, ast.unparse(tree)))
    return codes


def texts(tree: ast.AST) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def code_of(definition: ast.ClassDef) -> Iterator[str]:
    for line in definition.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code":
            yield ast.literal_eval(line.value)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def lines_of_trouble() -> list[str]:
    """What `status` may say, with names in braces for what it fills in."""
    tree = ast.parse((ROOT / "deploy/status.py").read_text())
    known = {
        ast.unparse(node.targets[0]): node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    yields = [node.value for node in ast.walk(tree) if isinstance(node, ast.Yield)]
    return ["".join(filled_in(value, known)) for value in yields if isinstance(value, ast.JoinedStr | ast.Constant)]


def filled_in(text: ast.JoinedStr | ast.Constant, known: Mapping[str, object]) -> Iterator[str]:
    for part in text.values if isinstance(text, ast.JoinedStr) else [text]:
        if isinstance(part, ast.FormattedValue):
            name = ast.unparse(part.value)
            yield str(known.get(name, f"{{{name}}}"))
        elif isinstance(part, ast.Constant):
            yield str(part.value)


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z_]+(?:\.[a-z_]+)*", text))


def test_what_wakes_somebody_is_in_the_runbook() -> None:
    missing = alarms() - words(RUNBOOK)

    assert not missing, f"write in deploy/runbook.md, best as a heading, what it means and what mends it: {missing}"


def test_every_reason_for_parking_is_in_the_runbooks_table() -> None:
    table = "\n".join(re.findall(r"^\| (`[^|]*) \|", RUNBOOK, re.MULTILINE))
    missing = parking_codes() - words(table)

    assert not missing, f"write a row (reason, cause, mend) in deploy/runbook.md, work.parked: {missing}"


def test_the_reasons_are_found_at_all() -> None:
    assert {"crashed", "unseal", "oversize", "busy", "family", "vault_away"} <= parking_codes()
    assert {"inbox.stopped", "spool.refused", "relay.failed", "allowlist.changed"} <= alarms()
    assert len(lines_of_trouble()) > 10


@pytest.mark.parametrize("line", lines_of_trouble())
def test_every_line_of_status_names_a_command_or_a_heading(line: str) -> None:
    commands = re.findall(r"jumio-pipeline (\{role\}|[a-z-]+)", line)
    places = re.findall(r"see the runbook \(([^)]+)\)", line)

    assert commands or places, "end the line with `jumio-pipeline COMMAND` or `see the runbook (HEADING)`"
    assert set(commands) <= {*COMMANDS, "{role}"}
    for place in places:
        found = re.search(rf"^## .*{re.escape(place)}", RUNBOOK, re.MULTILINE)
        assert found, f"deploy/runbook.md has no such heading: {place}"


def test_every_decision_has_a_number_of_its_own_and_four_parts() -> None:
    paths = sorted((ROOT / "deploy/decisions").glob("*.md"))

    assert len({path.name[:4] for path in paths}) == len(paths), "two decisions have one number"
    for path in paths:
        parts = re.findall(r"^\*\*(Context|Decision|Consequences|Alternatives)\.\*\*", path.read_text(), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"], path.name


def test_reasons_in_examples_are_long_enough_for_the_audit_trail() -> None:
    reasons = re.findall(r'--reason "([^"]*)"', README + RUNBOOK)

    assert reasons
    assert [reason for reason in reasons if len(reason.replace(" ", "")) < 10] == []


def test_the_readme_names_every_command() -> None:
    missing = [name for name in COMMANDS if not re.search(rf"(`|jumio-pipeline |make ){name}\b", README)]

    assert missing == [], "write a row into the table of commands in README.md (Run it)"


def test_the_changelog_names_every_migration_once_and_in_order() -> None:
    files = sorted(path.stem for path in (ROOT / "schemas/sql/migrations").glob("*.sql"))
    named = re.findall(r"`(\d{4}_\w+)`", CHANGELOG)

    assert named == files, "write a line into CHANGELOG.md (Unreleased, Migrations): what whoever migrates must know"


def test_the_changelog_names_every_event() -> None:
    types = {
        path.name.removesuffix(".schema.json") for path in (ROOT / "schemas/events/catalogue").rglob("*.v1.schema.json")
    }
    missing = {name for name in types if f"`{name}`" not in CHANGELOG}

    assert types
    assert not missing, f"write a line into CHANGELOG.md (Unreleased, Events): {missing}"
