"""The folder that services live in: who holds it, its secrets, its logs."""

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.embedded.account import Account, own
from deploy.embedded.errors import EmbeddedRefusedError

# Longer than a tether gives Postgres to stop (10 s) and its children to notice (5 s).
LEFTOVERS_SECONDS = 25.0
LOG_TAIL_BYTES = 2000


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """This process's claim; the kernel ends it with the process, so a file that a killed one left blocks nobody."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(lock):
            holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            raise EmbeddedRefusedError(
                f"{folder} is in use by process {holder}: stop it, choose another folder, "
                "or set DATABASE_URL and BROKER_URL"
            )
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


@contextmanager
def services_lock(folder: Path, *, end_leftovers: Callable[[], None]) -> Iterator[int]:
    """A second claim that the services inherit: it is free only once the last one of a killed run is gone."""
    lock = os.open(folder / "services.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(lock):
            end_leftovers()
            deadline = time.monotonic() + LEFTOVERS_SECONDS
            while not _locked(lock):
                if time.monotonic() > deadline:
                    raise EmbeddedRefusedError(
                        f"services of a run that was killed still hold {folder}/services.lock: end them "
                        "(`lsof` or `fuser` on that file names them), or choose another folder"
                    )
                time.sleep(0.05)
        yield lock
    finally:
        os.close(lock)


def password(folder: Path, name: str, account: Account | None) -> str:
    """Made once; the services' user owns it, because initdb reads it as that user."""
    path = folder / f"{name}.password"
    if not path.exists():
        write_secret(path, secrets.token_hex(24), account)
    return path.read_text().strip()


def write_secret(path: Path, text: str, account: Account | None = None) -> None:
    """Whole or not at all, and never readable by others in between."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    own(fresh, account)
    fresh.replace(path)


def log_tail(log: Path) -> str:
    with suppress(FileNotFoundError):
        return log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    return ""


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
