"""`python -m tests.planted`: plant each defect in a copy of the project, and demand that the tests notice."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import click

from schemas.settings import inherited_environment
from tests.planted.defects import DEFECTS, Defect, Edit

ROOT = Path(__file__).parents[2]
_LONGEST_SECONDS = 300
# pytest's own words: 1 is a failed test; 2 to 5 are a run that told nothing. The crash proof ends likewise.
_PASSED, _FAILED = 0, 1
# Of the crash proof: more is under way at any instant than in a quiet run.
_RATE = 30


@click.command()
@click.option("--only", default="", help="Defects whose name contains this.")
def main(only: str) -> None:
    """Ends with 1 where a defect is not noticed, or where the tests fail without one."""
    chosen = [each for each in DEFECTS if only in each.name]
    tests = dict.fromkeys(test for each in chosen for test in each.caught_by)
    faults = dict.fromkeys(fault for each in chosen if each.proof for fault in each.proof.faults)
    with tempfile.TemporaryDirectory(prefix="jumio-pipeline-planted-") as name:
        Path(name).chmod(0o711)
        sound = copy_to(Path(name) / "sound")
        if tests and run_tests(sound, tests) != _PASSED:
            raise SystemExit("the tests fail without a defect: mend that first (make test)")
        if faults and run_crash_proof(sound, faults).returncode != _PASSED:
            raise SystemExit("the crash proof fails without a defect: mend that first (make crash-proof)")
        click.echo(f"without a defect: {len(tests)} tests pass, and {len(faults)} faults break no promise")
        missed = [each.name for each in chosen if not notice(each, Path(name) / "planted")]
    click.echo(f"{len(chosen) - len(missed)} of {len(chosen)} planted defects noticed")
    if missed:
        raise SystemExit(f"not noticed: {', '.join(missed)}")


def notice(defect: Defect, folder: Path) -> bool:
    """Plant it and see whether all that should notice does: every test by itself, the crash proof by its promise."""
    shutil.rmtree(folder, ignore_errors=True)
    plant(defect.edits, copy_to(folder))
    began = time.monotonic()
    noticed = all(run_tests(folder, [test]) == _FAILED for test in defect.caught_by)
    if defect.proof:
        ended = run_crash_proof(folder, defect.proof.faults)
        noticed &= ended.returncode == _FAILED and f"broken: {defect.proof.broken}:" in ended.stdout
    click.echo(f"{'noticed' if noticed else 'MISSED '}  {defect.name}  ({time.monotonic() - began:.0f} s)")
    return noticed


def plant(edits: Iterable[Edit], folder: Path) -> None:
    """Make the edits. Raises ValueError where a text is not there exactly once: the code has changed since."""
    for edit in edits:
        path = folder / edit.path
        text = path.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.path} has {text.count(edit.old)} times what {edit.old.strip()!r} stands for")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def copy_to(folder: Path) -> Path:
    """What the tests need, and nothing that is ignored."""
    folder.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (source := ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def run_tests(folder: Path, tests: Iterable[str]) -> int:
    """The exit code of pytest."""
    return _run(folder, "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests).returncode


def run_crash_proof(folder: Path, faults: Iterable[str]) -> subprocess.CompletedProcess[str]:
    options = [word for fault in faults for word in ("--fault", fault)]
    return _run(folder, "tests.crash_proof", "--seed", "1", "--rate", str(_RATE), *options)


def _run(folder: Path, module: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The copy comes before the installed project, for its processes too."""
    return subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=folder, env={**inherited_environment(), "PYTHONPATH": str(folder)},
        capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
