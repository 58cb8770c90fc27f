"""The bundle as a file: zipped, hashed, signed, and under its name together with its row in the audit trail."""

import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import Connection, IsolationLevel
from psycopg.errors import InvalidParameterValue

from deploy.bundle.contents import File, read_evidence, write_evidence
from deploy.bundle.summary import summary
from schemas.sealing import KeyRing
from workers import store
from workers.vault.vaults import Vaults

MANIFEST, SIGNATURE = "manifest.sha256", "manifest.sig"
VERIFY = """How to check that nothing in this bundle was changed, added or taken away
=========================================================================

You need openssl (3 or later), sha256sum, unzip, and the public key of the installation that made the bundle, from a
source that you trust: its operator prints it with `jumio-pipeline export --public-key > export.pub`.

    unzip -q FILE.zip -d bundle && cd bundle
    openssl pkeyutl -verify -pubin -inkey ../export.pub -rawin -in manifest.sha256 -sigfile manifest.sig
    sha256sum --check --strict --quiet manifest.sha256
    test "$(find . ! -type d | wc -l)" -eq "$(($(wc -l < manifest.sha256) + 2))"

The first of them says "Signature Verified Successfully"; all of them end with status 0. The list is signed, every file
is as listed, and there is no file besides.
"""


class BundleError(Exception):
    """There is no bundle; the text says why and what to do."""


def find_family(conn: Connection, tenant: str, workflow_key: str, family: str | None) -> dict[str, str]:
    """Which workflow is meant. Raises BundleError."""
    values = {"tenant": tenant, "workflow_key": workflow_key}
    known = [row["family"] for row in store.rows(conn, "bundle", "families", values)]
    wanted = [each for each in known if family in {None, each}]
    if not wanted:
        raise BundleError(f"nothing is known of this workflow in tenant {tenant}; look in compliance.workflows")
    if len(wanted) > 1:
        raise BundleError(f"this id is known as {' and '.join(wanted)}; say which with --family")
    return {**values, "family": wanted[0]}


def write_bundle(
    conn: Connection,
    key: dict[str, str],
    to: Path,
    *,
    keys: KeyRing,
    vaults: Vaults,
    signer: Ed25519PrivateKey,
    reason: str,
) -> list[str]:
    """Write it to a file of mode 0600 that did not exist before; what is not in it. Raises BundleError."""
    if to.exists():
        raise BundleError(f"{to} exists already; it is not written over")
    asked_as = _ask(conn, key, reason)
    try:
        with _unfinished(to) as path:
            files, absent = _write(conn, key, path, keys=keys, vaults=vaults, signer=signer)
            with path.open("rb") as written:
                os.fsync(written.fileno())
                digest = hashlib.file_digest(written, "sha256").hexdigest()
            details = {"step": "written", "asked_as": asked_as, "sha256": digest, "files": files, "absent": len(absent)}
            with _both_or_neither(conn, to):
                store.append_audit(conn, "bundle.exported", **key, reason=reason, details=details)
                _name(path, to)
    except OSError as error:
        raise BundleError(f"{to} cannot be written: {error.strerror}") from None
    return absent


def _ask(conn: Connection, key: dict[str, str], reason: str) -> int:
    """On record before anything is read: an export that fails halfway was one all the same."""
    try:
        [row] = store.rows(conn, "bundle", "ask_export", {**key, "reason": reason})
    except InvalidParameterValue as error:
        raise BundleError(str(error.diag.message_primary)) from None
    # The timeline tells what is sealed, and the relay may do so only in two seconds.
    store.rows(conn, "audit", "seal_audit")
    return int(row["number"])


@contextmanager
def _unfinished(to: Path) -> Iterator[Path]:
    """A new file of mode 0600, in the folder of its name: neither a link nor a move crosses disks."""
    path = to.with_name(f".{to.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _both_or_neither(conn: Connection, to: Path) -> Iterator[None]:
    """No row without the file; and if the row cannot be committed, no file."""
    named = False
    try:
        with conn.transaction():
            yield
            named = True
    except BaseException:
        if named:
            to.unlink(missing_ok=True)
        raise


def _name(path: Path, to: Path) -> None:
    """Never over a file that is there. Sticks and some shares know no links: then the name is taken first."""
    try:
        os.link(path, to)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            path.replace(to)
        except OSError:
            to.unlink(missing_ok=True)
            raise


def _write(
    conn: Connection, key: dict[str, str], path: Path, *, keys: KeyRing, vaults: Vaults, signer: Ed25519PrivateKey
) -> tuple[int, list[str]]:
    """One snapshot of the database, one image in memory at a time."""
    made, hashes = datetime.now(UTC), dict[str, str]()
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:

        def add(file: File) -> None:
            hashes[file.name] = hashlib.sha256(file.data).hexdigest()
            _put(archive, file, made)

        with _snapshot(conn):
            evidence = read_evidence(conn, key)
            for file in write_evidence(conn, evidence, keys, vaults):
                add(file)
        add(File("timeline.txt", _lines(evidence.timeline)))
        add(File("summary.html", summary(evidence, made=made)))
        add(File("VERIFY.txt", VERIFY.encode()))
        manifest = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items())).encode()
        _put(archive, File(MANIFEST, manifest), made)
        _put(archive, File(SIGNATURE, signer.sign(manifest)), made)
    return len(hashes), evidence.absent


@contextmanager
def _snapshot(conn: Connection) -> Iterator[None]:
    """All that is read within was true at one moment."""
    conn.isolation_level, conn.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with conn.transaction():
            yield
    finally:
        conn.isolation_level, conn.read_only = None, None


def _put(archive: ZipFile, file: File, made: datetime) -> None:
    entry = ZipInfo(file.name, made.timetuple()[:6])
    entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o600 << 16
    archive.writestr(entry, file.data)


def _lines(told: Sequence[store.Row]) -> bytes:
    return "".join(f"{row['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}Z  {row['words']}\n" for row in told).encode()
