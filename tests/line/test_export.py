"""An evidence bundle: complete, as it was received, signed, audited, and verified by tools that are not ours."""

import errno
import hashlib
import json
import re
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from deploy.bundle.signature import new_signing_key
from deploy.bundle.write import VERIFY
from deploy.commands.export import command
from deploy.images.move import move_images
from deploy.simulator.run import Simulator
from deploy.simulator.scenarios import Execution
from schemas.settings import Settings
from tests.line.conftest import Hand
from workers.vault.vaults import Vaults

NOW = datetime.now(UTC)
ATTACK = "<script>alert(1)</script>"
WHY = ("--reason", "audit 2031: sample 17")
needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("sh", "openssl", "sha256sum", "unzip"))), reason="openssl, sha256sum or unzip is missing"
)


@pytest.fixture
def environment(settings: Settings, ring: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "export.key").write_text(new_signing_key())
    return {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "ENCRYPTION_KEYS": ring,
        "EXPORT_SIGNING_KEY_FILE": str(tmp_path / "export.key"),
    }


@pytest.fixture
def person(hand: Hand, simulator: Simulator) -> Execution:
    """Decided, corrected since, with images and events; and an address that nobody should believe."""
    [execution] = simulator.create(outcomes=["passed"])
    assert execution.details is not None
    execution.details["capabilities"]["extraction"][0]["data"]["firstName"] = ATTACK
    hand.receive(execution.callback("ACQUIRED", NOW))
    hand.receive(execution.callback(execution.status, NOW))
    hand.run_until_idle()
    execution.correct()
    hand.receive(execution.callback(execution.status, datetime.now(UTC)))
    hand.run_until_idle()
    return execution


@pytest.fixture
def bundle(hand: Hand, person: Execution, environment: dict[str, str], tmp_path: Path) -> Path:
    result = export(environment, "--workflow", person.key, "--to", str(tmp_path / "file.zip"))
    assert result.exit_code == 0, result.output
    return tmp_path / "file.zip"


def export(environment: dict[str, str], *arguments: str) -> Result:
    why = () if {"--public-key", "--reason"} & {*arguments} else WHY
    return CliRunner().invoke(command, (*arguments, *why), env=environment)


def test_everything_is_in_it_as_it_was(hand: Hand, person: Execution, bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        files = {name: archive.read(name) for name in names}

    assert len(set(names)) == len(names)
    assert files["callbacks/002/body"] == person.callback("PROCESSED", NOW)
    assert loaded(files, "callbacks/002/facts.json")["source_evidence"] == {"rule": "dns"}
    [first, second] = [loaded(files, f"verdicts/version-{number:03}.json") for number in (1, 2)]
    assert (first["outcome"], second["outcome"]) == ("passed", person.expectation.outcome)
    assert {name for name in names if name.startswith("reports/")} == {
        "reports/001.json", "reports/002.json", "reports/index.json"}  # fmt: skip
    assert loaded(files, "reports/002.json")["details"] == person.details
    images = [row for row in loaded(files, "images/index.json") if row["state"] == "stored"]
    assert len(images) >= person.expectation.images > 0
    assert all(hashlib.sha256(files[row["file"]]).hexdigest() == row["sha256"] for row in images)
    types = {loaded(files, name)["type"] for name in names if re.match(r"events/\d", name)}
    assert {"kyc.workflow.decided.v1", "kyc.workflow.changed.v1", "kyc.workflow.images-stored.v1"} == types
    assert any(row["first_name"] == ATTACK for row in loaded(files, "identities.json"))
    hand.conn.execute("SELECT pipeline.seal_audit()")
    told = [row[0] for row in hand.conn.execute("SELECT words FROM compliance.timeline(%s)", [person.key]).fetchall()]
    lines = [line.split("Z  ", 1)[1] for line in files["timeline.txt"].decode().splitlines()]
    [since] = [words for words in told if words not in lines]
    assert [words for words in told if words != since] == lines
    assert " exported the evidence; why is in the audit trail, row " in since
    page = files["summary.html"].decode()
    assert ATTACK not in page
    assert person.key in page
    assert page.count("<section") == page.count("</section")


def test_it_is_for_its_owner_only_and_audited_before_it_is_there(hand: Hand, person: Execution, bundle: Path) -> None:
    [(asked_as, asked), (_, written)] = [
        (row[0], row[1:])
        for row in hand.conn.execute(
            "SELECT number, action, workflow_key, reason, details FROM compliance.audit_trail ORDER BY number"
        ).fetchall()
    ]

    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert asked == ("bundle.exported", person.key, WHY[1], {"step": "asked"})
    assert written[:3] == asked[:3]
    details = written[3]
    assert (details["step"], details["asked_as"]) == ("written", asked_as)
    assert details["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()


def test_the_operators_role_reads_identities_only_after_it_said_why(
    hand: Hand, person: Execution, environment: dict[str, str], login: Callable[[str], str], tmp_path: Path
) -> None:
    url = login("jumio_admin")
    with psycopg.connect(url) as admin:
        # In one transaction it could be rolled back.
        admin.execute("SELECT pipeline.ask_export('default', 'kyx', %s, 'I am curious')", [person.key])
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="say why first"):
            admin.execute("SELECT * FROM pipeline.exported_identities('default', 'kyx', %s)", [person.key])

    done = export(environment | {"DATABASE_URL": url}, "--workflow", person.key, "--to", str(tmp_path / "file.zip"))

    assert done.exit_code == 0
    with zipfile.ZipFile(tmp_path / "file.zip") as archive:
        assert ATTACK in archive.read("identities.json").decode()


def test_without_an_audit_row_there_is_no_file(
    hand: Hand, person: Execution, environment: dict[str, str], tmp_path: Path
) -> None:
    with hand.conn.transaction():
        hand.conn.execute("ALTER FUNCTION pipeline.append_audit RENAME TO append_audit_away")
    try:
        failed = export(environment, "--workflow", person.key, "--to", str(tmp_path / "file.zip"))
    finally:
        hand.conn.execute("ALTER FUNCTION pipeline.append_audit_away RENAME TO append_audit")

    assert failed.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["export.key"]


def test_it_is_named_where_there_are_no_links_and_a_name_that_is_refused_leaves_no_row(
    hand: Hand, person: Execution, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a stick: no file system of the kind is at hand in a test."""
    raced, to = tmp_path / "raced.zip", tmp_path / "file.zip"

    def refuse(_path: Path, wanted: Path) -> None:
        if wanted == raced:
            raced.write_text("somebody else's")
            raise FileExistsError(errno.EEXIST, "File exists")
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    codes = [export(environment, "--workflow", person.key, "--to", str(each)).exit_code for each in (raced, to)]

    steps = hand.conn.execute("SELECT details ->> 'step' FROM compliance.audit_trail ORDER BY number").fetchall()
    assert (codes, [step for (step,) in steps]) == ([1, 0], ["asked", "asked", "written"])
    assert raced.read_text() == "somebody else's"
    assert zipfile.is_zipfile(to)
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.key", "file.zip", "raced.zip"]


@needs_tools
def test_the_documented_lines_verify_it(environment: dict[str, str], bundle: Path) -> None:
    done = verify(environment, bundle)

    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n")


@needs_tools
def test_they_notice_whatever_is_done_to_it(environment: dict[str, str], bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    victim, empty = "verdicts/version-001.json", hashlib.sha256(b"{}").hexdigest()
    listed = re.sub(rf"\w+(?=  {victim})", empty, files["manifest.sha256"].decode()).encode()
    done_to_it: dict[str, dict[str, bytes]] = {
        "changed": files | {victim: files[victim].replace(b"passed", b"failed")},
        "added": files | {"verdicts/version-000.json": b"{}"},
        "taken": {name: data for name, data in files.items() if name != victim},
        "listed": files | {victim: b"{}", "manifest.sha256": listed},
        "packed again": files,
    }

    ends = {}
    for how, content in done_to_it.items():
        shutil.rmtree(tmp_path / "bundle", ignore_errors=True)
        with zipfile.ZipFile(bundle, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        ends[how] = verify(environment, bundle).returncode
    with zipfile.ZipFile(bundle, "a") as archive:
        link = zipfile.ZipInfo("verdicts/version-000.json")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    shutil.rmtree(tmp_path / "bundle")
    ends["a link added"] = verify(environment, bundle).returncode
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    shutil.rmtree(tmp_path / "bundle")
    (tmp_path / "export.key").write_text(new_signing_key())
    ends["signed by another"] = verify(environment, bundle).returncode

    assert ends.pop("packed again") == 0
    assert all(ends.values()), ends


def test_images_of_other_stores_are_in_it_and_one_that_is_away_is_said(
    hand: Hand, person: Execution, environment: dict[str, str], tmp_path: Path
) -> None:
    folder, keys = tmp_path / "images", hand.tools.settings.keys
    folder.mkdir()
    vaults = Vaults(Settings.load("", {"IMAGES_URL": f"file://{folder}"}))
    assert all(not problem for _, problem in move_images(hand.conn, keys=keys, vaults=vaults))

    there = export(environment, "--workflow", person.key, "--to", str(tmp_path / "there.zip"))
    folder.rename(tmp_path / "elsewhere")
    away = export(environment, "--workflow", person.key, "--to", str(tmp_path / "away.zip"))

    with zipfile.ZipFile(tmp_path / "there.zip") as archive:
        images = [row for row in json.loads(archive.read("images/index.json")) if row["state"] == "stored"]
        assert len(images) >= person.expectation.images > 0
        assert all(hashlib.sha256(archive.read(row["file"])).hexdigest() == row["sha256"] for row in images)
    assert (there.exit_code, away.exit_code) == (0, 0)
    assert away.output.count("vault_away") == len(images)


def test_what_it_cannot_do_it_says(hand: Hand, person: Execution, environment: dict[str, str], tmp_path: Path) -> None:
    there = tmp_path / "there.zip"
    there.write_text("mine")
    to = ("--to", str(tmp_path / "new.zip"))
    whom = ("--workflow", person.key)

    refusals = [
        (export(environment, "--workflow", person.key, "--to", str(there)), "exists already"),
        (export(environment, "--workflow", "no-such", *to), "nothing is known"),
        (export(environment, "--workflow", person.key, "--to", str(tmp_path / "no/new.zip")), "cannot be written"),
        (export(environment, *whom), "say --workflow"),
        (export(environment, *whom, *to, "--reason", "because"), "say why, in at least ten letters"),
        (export(environment, *whom, *to, "--reason", ""), "Aborted"),
    ]

    for result, says in refusals:
        assert result.exit_code != 0
        assert says in result.output
    assert there.read_text() == "mine"
    assert not (tmp_path / "new.zip").exists()


def test_what_is_gone_or_damaged_is_said_and_the_rest_is_there(
    hand: Hand, person: Execution, environment: dict[str, str], tmp_path: Path
) -> None:
    hand.conn.execute("UPDATE pipeline.reports SET sealed = ''")
    hand.conn.execute("UPDATE pipeline.callbacks SET sealed_body = set_byte(sealed_body, 40, 0)::bytea || 'x'")

    result = export(environment, "--workflow", person.key, "--to", str(tmp_path / "file.zip"))

    assert result.exit_code == 0
    assert "not in it: reports/001.json: deleted" in result.output
    assert "not in it: callbacks/001/body: the bytes were changed" in result.output
    with zipfile.ZipFile(tmp_path / "file.zip") as archive:
        assert b"What is not in this bundle" in archive.read("summary.html")


def verify(environment: dict[str, str], bundle: Path) -> "subprocess.CompletedProcess[str]":
    """The indented lines of VERIFY.txt, as they are, with the name of the file filled in."""
    (bundle.parent / "export.pub").write_text(export(environment, "--public-key").output)
    lines = [line.strip() for line in VERIFY.splitlines() if line.startswith("    ")]
    assert len(lines) == 4
    script = "\n".join(["set -e", *lines]).replace("FILE.zip", bundle.name)
    return subprocess.run(["sh", "-c", script], cwd=bundle.parent, capture_output=True, text=True, check=False)


def loaded(files: dict[str, bytes], name: str) -> Any:
    return json.loads(files[name])
