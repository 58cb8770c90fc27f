"""Which user the services run as: Postgres refuses to run as root."""

import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.errors import EmbeddedRefusedError

READ, SEARCH = 0o4, 0o1
# For services of a folder below, say, /root or a private temporary one; `DIR/services` points there.
ELSEWHERE = Path("/var/lib/jumio-pipeline/elsewhere")


@dataclass(frozen=True)
class Account:
    """Whom to become; we are root."""

    uid: int
    gid: int

    def may(self, path: Path, bits: int) -> bool:
        """By mode alone, as the kernel would answer: there are no further groups, and access lists are not ours."""
        info = path.stat()
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid == self.gid else 0
        return (info.st_mode >> shift) & bits == bits

    def closed_door(self, path: Path) -> Path | None:
        """The outermost folder on the way to `path` that lets this user no further."""
        ways = [path, *path.parents]
        return next((way for way in reversed(ways) if not self.may(way, SEARCH)), None)


def account_for(data: Path) -> Account | None:
    """None: we are an ordinary user, and run things as ourselves."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(found.pw_uid, found.pw_gid)
    raise EmbeddedRefusedError(
        "Postgres refuses to run as root, and there is neither a user postgres nor a user nobody to run it as; "
        "run this as an ordinary user, or set DATABASE_URL and BROKER_URL"
    )


def open_folder(folder: Path, account: Account | None) -> Path:
    """Where the services can live: in our own folder or, if the way to it is closed to their user, in one that is not.

    The folders above ours are not ours to change. Raises EmbeddedRefusedError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if account is None:
        return folder
    _let_pass(folder, account)
    if account.closed_door(folder) is None:
        return folder
    elsewhere = ELSEWHERE / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    try:
        elsewhere.mkdir(parents=True, exist_ok=True, mode=0o711)
        _let_pass(elsewhere, account)
    except OSError as error:
        raise EmbeddedRefusedError(_closed(folder, account)) from error
    if account.closed_door(elsewhere) is not None or elsewhere.stat().st_uid != 0:
        raise EmbeddedRefusedError(_closed(folder, account))
    pointer = folder / "services"
    if not pointer.is_symlink():
        pointer.symlink_to(elsewhere)
    return elsewhere


def _let_pass(folder: Path, account: Account) -> None:
    if folder.stat().st_uid == 0 and not account.may(folder, SEARCH):
        folder.chmod(folder.stat().st_mode | 0o011)  # search, not list: what is secret inside is 0600


def _closed(folder: Path, account: Account) -> str:
    door = account.closed_door(folder)
    return (
        f"{folder} cannot be reached by user {_name(account)}, which Postgres runs as because it refuses to run as "
        f"root: {door} is closed to it; choose a folder elsewhere, chmod o+x {door}, run this as an ordinary user, "
        "or set DATABASE_URL and BROKER_URL"
    )


def own(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _name(account: Account) -> str:
    try:
        return pwd.getpwuid(account.uid).pw_name
    except KeyError:
        return str(account.uid)
