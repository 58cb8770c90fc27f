"""Damaged lines of spools, which no receiver drains: the person's go, and of those that nobody can read it is told."""

import json
import os
import socket
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from psycopg import Connection

from deploy.erasure.subject import SubjectError
from deploy.erasure.unsettled import Theirs
from receiver.spool.folder import read_name
from receiver.spool.segment import DAMAGED_SUFFIX, SUFFIX, sync_folder
from schemas.sealing import KeyRing, UnsealError
from workers import store

Unread = Literal["refuse", "leave", "delete"]


@dataclass(frozen=True)
class Aside:
    """Where lines are set aside, and what becomes of those that nobody can read."""

    folder: Path | None = None
    unread: Unread = "refuse"


NOT_SET = Aside()


@dataclass(frozen=True)
class Searched:
    """Lines that went because they are the person's, or because nobody can tell; and what was not searched."""

    own: int
    unread: int
    unsearched: int


def search_aside(conn: Connection, aside: Aside, tenant: str, theirs: Theirs, *, keys: KeyRing) -> Searched:
    """Take the person's lines out of the files. Raises SubjectError where some cannot be searched and nobody chose.

    They go before the commit, so that no certificate says too much; if it fails, the erasure is done again.
    """
    paths = sorted(aside.folder.glob(f"*{DAMAGED_SUFFIX}")) if aside.folder else []
    files = [(path, [(line, _read(line, tenant, keys)) for line in _lines(path)]) for path in paths]
    unread = sum(body is None for _, lines in files for _, body in lines)
    elsewhere = _files_elsewhere(conn, aside.folder, len(files))
    _require_choice(aside, unread, elsewhere)

    own = 0
    for path, lines in files:
        kept = [line for line, body in lines if _stays(body, theirs, aside)]
        own += sum(body is not None and not _stays(body, theirs, aside) for _, body in lines)
        if len(kept) < len(lines):
            _rewrite(path, kept)
    deleted = unread if aside.unread == "delete" else 0
    return Searched(own, deleted, unread - deleted + elsewhere)


def _require_choice(aside: Aside, unread: int, elsewhere: int) -> None:
    if unread and aside.unread == "refuse":
        raise SubjectError(
            f"{unread} damaged spool lines cannot be opened, so nobody can tell whether they are this person's, and "
            "nothing was erased; see the runbook (Spool), then say --damaged delete, or --damaged leave: then the "
            "certificate is not complete"
        )
    if elsewhere and aside.unread != "leave":
        raise SubjectError(
            f"{elsewhere} files of damaged spool lines are not in SPOOL_DIR here, so nothing was erased; erase where "
            "they are, or move them away (the runbook, Spool), or say --damaged leave"
        )


def _files_elsewhere(conn: Connection, folder: Path | None, here: int) -> int:
    """By the receivers' own word, except of the folder that was searched: what is in it now is known."""
    told: dict[str, int] = {row["folder"]: row["files"] for row in store.rows(conn, "erasures", "damaged_by_folder")}
    if folder and (name := read_name(folder)):
        told.pop(name, None)
    # A folder without a name: receivers of this machine write to the one that was searched, if there is one.
    own = told.pop(socket.gethostname(), 0)
    return sum(told.values()) + max(0, own - here)


def _lines(path: Path) -> list[bytes]:
    segment = path.with_suffix(SUFFIX)
    if segment.exists():
        raise SubjectError(f"{segment.name} is being drained, so nothing was erased; try again in a minute")
    with path.open("rb") as file:
        return list(file)


def _read(line: bytes, tenant: str, keys: KeyRing) -> bytes | None:
    """The body, where it opens; whatever else is damaged about the line. Empty where it is another tenant's."""
    try:
        members = json.loads(line.partition(b" ")[2])
        place = f"callbacks.body/{UUID(members['id'])}"
        body = keys.unseal(b64decode(members["sealed_body"], validate=True), place=place)
        return body if members["tenant"] == tenant else b""
    except (ValueError, LookupError, TypeError, AttributeError, UnsealError):
        return None


def _stays(body: bytes | None, theirs: Theirs, aside: Aside) -> bool:
    return aside.unread != "delete" if body is None else not theirs.has(body)


def _rewrite(path: Path, lines: Sequence[bytes]) -> None:
    """All or nothing, and durably; without a line left, without the file."""
    if not lines:
        path.unlink()
    else:
        new = path.with_suffix(".rewritten")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        owner = path.stat()
        os.chown(new, owner.st_uid, owner.st_gid)
        new.replace(path)
    sync_folder(path.parent)
