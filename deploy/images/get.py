"""Sealed image -> a file that only its owner can read, after the audit trail says who asked for it, and why."""

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from psycopg import Connection
from psycopg.errors import InvalidParameterValue

from schemas.sealing import KeyRing, UnsealError
from workers import store
from workers.errors import VaultAwayError
from workers.vault.blob import open_image
from workers.vault.vault import NoBlobError
from workers.vault.vaults import Vaults

_ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
}


class GetError(Exception):
    """An image cannot be handed out; the text says why and what to do."""


@dataclass(frozen=True)
class Wanted:
    """Which images, and why; what is None is any."""

    workflow_key: str
    reason: str
    tenant: str | None = None
    credential_id: str | None = None
    classifier: str | None = None


@dataclass(frozen=True)
class Got:
    """One image: the file that was written, or what is wrong."""

    name: str
    path: Path | None
    problem: str = ""


def get_images(conn: Connection, wanted: Wanted, to: Path, *, keys: KeyRing, vaults: Vaults) -> list[Got]:
    """Write the images of a workflow: a folder takes any number, a file one. Raises GetError before any is opened."""
    if not wanted.reason.strip():
        raise GetError("a reason is needed: it is kept in the audit trail")
    wanted = _only_tenant(conn, wanted, to)
    try:
        # The first call commits a row of the audit trail, the second is shown what was asked for: nothing is open yet.
        _, rows = (store.rows(conn, "images", "open_images", asdict(wanted)) for _ in range(2))
    except InvalidParameterValue as error:
        raise GetError(str(error.diag.message_primary)) from error
    return [_write(conn, row, to / _file_name(wanted, row) if to.is_dir() else to, keys, vaults) for row in rows]


def _only_tenant(conn: Connection, wanted: Wanted, to: Path) -> Wanted:
    """What is asked for, with its tenant. Raises GetError where it is not there, or does not fit where it is to go."""
    found = store.rows(conn, "images", "list_wanted", asdict(wanted))
    stored = [row for row in found if row["state"] == "stored"]
    if not stored:
        states = ", ".join(f"{row['classifier']} is {row['state']}" for row in found)
        raise GetError(f"no such image is stored: {states or 'check workflow, tenant, credential and classifier'}")
    tenants = sorted({row["tenant"] for row in stored})
    if len(tenants) > 1:
        raise GetError(f"more than one tenant has this workflow id; say --tenant: {', '.join(tenants)}")
    if not to.is_dir() and len(stored) > 1:
        raise GetError(
            f"{len(stored)} images match: let --to name a folder that exists, or say --credential, --classifier"
        )
    if not to.is_dir() and not to.parent.is_dir():
        raise GetError("the folder of --to does not exist")
    if to.is_file():
        raise GetError("the file of --to exists already; nothing is written over")
    return replace(wanted, tenant=tenants[0])


def _write(conn: Connection, row: store.Row, path: Path, keys: KeyRing, vaults: Vaults) -> Got:
    name = f"{row['credential']} {row['part']}"
    try:
        sealed = row["sealed"] or vaults.at(row["store"], conn).get(row["blob_key"])
        clear = open_image(sealed, row["image_id"], sha256=row["sha256"], keys=keys)
        _write_file(path, clear)
    except NoBlobError:
        return Got(name, None, "its store has no blob of it; if images are being moved, ask again")
    except (UnsealError, VaultAwayError) as error:
        return Got(name, None, str(error))
    except OSError as error:
        return Got(name, None, f"{path.name} cannot be written: {error.strerror}")
    return Got(name, path)


def _write_file(path: Path, clear: bytes) -> None:
    """All of it or nothing, and over nothing."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        try:
            file.write(clear)
            file.flush()
        except OSError:
            path.unlink()
            raise


def _file_name(wanted: Wanted, row: store.Row) -> str:
    """Of ids only, whatever characters Jumio may use in them one day."""
    words = (str(wanted.tenant), wanted.workflow_key, row["credential"], row["part"])
    safe = ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", word) for word in words)
    return safe + _ENDINGS.get(row["media_type"], ".bin")
