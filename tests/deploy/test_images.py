"""Images by hand: read by an investigator and told, checked for everything that can be wrong, moved without a gap."""

import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.images.get import GetError, Wanted, get_images
from deploy.images.move import move_images
from deploy.images.verify import Finding, verify
from schemas.sealing import KeyRing
from schemas.settings import Settings, inherited_environment
from tests.s3_server import S3Server
from tests.workers.test_images import JPEG, PNG
from tests.workers.vault.test_blob import OLD, Kept
from tests.workers.vault.test_vaults import STORES, settings_of
from workers.vault.blob import read_image
from workers.vault.vault import new_key
from workers.vault.vaults import Vaults

REASON = "case 4711, asked for by the regulator"


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server, conn: Connection) -> Kept:
    folder = tmp_path / "store"
    folder.mkdir()
    return Kept(conn, KeyRing.parse(OLD), settings_of(request.param, folder, s3))


@pytest.fixture
def investigator(conn: Connection, database_url: str) -> Iterator[str]:
    """The URL of a login that may no more than an investigator."""
    conn.execute("CREATE ROLE vault_tests LOGIN PASSWORD 'vault' IN ROLE compliance_investigator")
    yield make_conninfo(database_url, user="vault_tests", password="vault")
    conn.execute("DROP ROLE vault_tests")


def stored(kept: Kept, *classifiers: str) -> list[UUID]:
    ids = [kept.want(name, JPEG if name == "FRONT" else PNG + name.encode()) for name in classifiers]
    for image_id in ids:
        kept.run(image_id)
    return ids


def audited(conn: Connection) -> list[tuple[Any, ...]]:
    columns = "who, workflow_key, reason, details"
    statement = f"SELECT {columns} FROM compliance.audit_trail WHERE action = 'image.read' ORDER BY number"
    return conn.execute(statement.encode()).fetchall()


def test_an_investigator_gets_what_was_stored_and_the_trail_tells_it(
    kept: Kept, investigator: str, tmp_path: Path
) -> None:
    front, back = stored(kept, "FRONT", "BACK")

    with psycopg.connect(investigator, autocommit=True) as own:
        got = get_images(own, Wanted("w-1", REASON), tmp_path, keys=kept.keys, vaults=kept.vaults)

    assert [each.problem for each in got] == ["", ""]
    files = {path.name: path for path in tmp_path.iterdir() if path.is_file()}
    assert files["default.w-1.c-1.FRONT.jpg"].read_bytes() == JPEG
    assert files["default.w-1.c-1.BACK.png"].read_bytes() == PNG + b"BACK"
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    [asked, shown] = audited(kept.conn)
    assert asked[:3] == shown[:3] == ("vault_tests", "w-1", REASON)
    assert [row[3]["step"] for row in (asked, shown)] == ["asked", "shown"]
    assert set(shown[3]["images"]) == {str(front), str(back)}


def test_one_part_goes_into_one_new_file(kept: Kept, tmp_path: Path) -> None:
    stored(kept, "FRONT", "BACK")
    to = tmp_path / "front.jpg"

    wanted = Wanted("w-1", REASON, tenant="default", credential_id="c-1", classifier="FRONT")
    [got] = get_images(kept.conn, wanted, to, keys=kept.keys, vaults=kept.vaults)

    assert got.path == to
    assert to.read_bytes() == JPEG
    with pytest.raises(GetError, match="exists already"):
        get_images(kept.conn, wanted, to, keys=kept.keys, vaults=kept.vaults)


@pytest.mark.parametrize(
    ("wanted", "to", "complaint"),
    [
        (Wanted("w-1", ""), ".", "a reason is needed"),
        (Wanted("w-1", " \n"), ".", "a reason is needed"),
        (Wanted("w-1", "because"), ".", "at least ten letters"),
        (Wanted("w-1", REASON), "file.jpg", "2 images match: let --to name a folder"),
        (Wanted("w-1", REASON, classifier="FACE"), ".", "no such image is stored: FACE is wanted"),
        (Wanted("w-2", REASON), ".", "no such image is stored: check workflow"),
        (Wanted("w-1", REASON, tenant="other"), ".", "no such image is stored"),
        (Wanted("w-1", REASON, classifier="FRONT"), "no/file.jpg", "the folder of --to does not exist"),
    ],
)
def test_what_cannot_be_given_is_refused_before_anything_is_opened(
    conn: Connection, tmp_path: Path, wanted: Wanted, to: str, complaint: str
) -> None:
    kept = Kept(conn, KeyRing.parse(OLD), Settings.load("", {}))
    stored(kept, "FRONT", "BACK")
    kept.want("FACE", JPEG)

    with pytest.raises(GetError, match=complaint):
        get_images(conn, wanted, tmp_path / to, keys=kept.keys, vaults=kept.vaults)

    assert list(tmp_path.iterdir()) == []
    assert audited(conn) == []


def test_a_reading_that_is_rolled_back_shows_nothing(conn: Connection, keys: KeyRing, investigator: str) -> None:
    kept = Kept(conn, keys, Settings.load("", {}))
    stored(kept, "FRONT")
    ask = b"SELECT * FROM compliance.open_images('default', 'w-1', 'case 4711, by the regulator')"

    with psycopg.connect(investigator) as own:
        shown = [own.execute(ask).fetchall() for _ in range(3)]
        own.rollback()
        denied = (b"SELECT * FROM pipeline.image_blobs", b"SELECT * FROM pipeline.images")
        for statement in denied:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(statement)
            own.rollback()

    assert [[row[0] for row in rows] for rows in shown] == [[None]] * 3


def found(kept: Kept, **options: Any) -> Counter[str]:
    return Counter(each.kind for each in findings(kept, **options))


def findings(kept: Kept, **options: Any) -> list[Finding]:
    return list(verify(kept.conn, keys=kept.keys, vaults=kept.vaults, **options))


def test_verify_tells_what_is_well_missing_damaged_and_nobodys(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    _, gone, damaged = stored(kept, "FRONT", "BACK", "FACE")
    vault = kept.vaults.at(kept.vaults.home, kept.conn)
    key = kept.image(damaged)["blob_key"]
    sealed = bytearray(vault.get(key))
    sealed[-1] ^= 1
    vault.delete(key)
    vault.put(key, bytes(sealed))
    vault.delete(kept.image(gone)["blob_key"])
    vault.put(new_key(gone, attempt=7), b"left by a crash")

    young = found(kept, delete_orphans=True)
    monkeypatch.setattr("deploy.images.verify.YOUNG", timedelta(hours=-1))  # two hours later
    old, deleted, after = found(kept), found(kept, delete_orphans=True), found(kept)

    assert young == {"well": 1, "missing": 1, "damaged": 1, "young": 1}
    assert old == {"well": 1, "missing": 1, "damaged": 1, "orphan": 1}
    assert deleted == {"well": 1, "missing": 1, "damaged": 1, "deleted": 1}
    assert after == {"well": 1, "missing": 1, "damaged": 1}
    told = {each.kind: each.what for each in findings(kept)}
    assert str(gone) in told["missing"]
    assert str(damaged) in told["damaged"]


def test_a_folder_that_is_known_by_two_paths_has_no_orphans(
    conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was mounted elsewhere, with a link left so that what was stored before is found."""
    (tmp_path / "mounted").mkdir()
    (tmp_path / "before").symlink_to("mounted")
    before, now = (Settings.load("", {"IMAGES_URL": f"file://{tmp_path / name}"}) for name in ("before", "mounted"))
    kept = Kept(conn, KeyRing.parse(OLD), before)
    stored(kept, "FRONT", "BACK")
    kept.vaults = Vaults(now)
    monkeypatch.setattr("deploy.images.verify.YOUNG", timedelta(hours=-1))

    assert found(kept, delete_orphans=True) == found(kept) == {"well": 2}


def test_an_image_of_a_key_that_is_not_on_the_ring_is_not_well(kept: Kept) -> None:
    stored(kept, "FRONT")
    kept.keys = KeyRing.parse(KeyRing.generate("other"))

    [finding] = findings(kept)

    assert (finding.kind, finding.problem.split(":")[0]) == ("damaged", "the key that sealed it is not on the ring")


def test_images_move_to_the_store_that_is_set_and_are_read_from_where_they_are(
    kept: Kept, s3: S3Server, tmp_path: Path
) -> None:
    ids = stored(kept, "FRONT", "BACK", "FACE")
    newer = tmp_path / "newer"
    newer.mkdir()
    there = Vaults(kept.settings.model_copy(update={"images_url": f"file://{newer}"}))

    moving = move_images(kept.conn, keys=kept.keys, vaults=there)
    next(moving)
    moving.close()
    halfway = Counter(kept.image(image_id)["store"] for image_id in ids)
    readable = [read_image(kept.conn, image_id, vaults=there, keys=kept.keys) for image_id in ids]
    rest = list(move_images(kept.conn, keys=kept.keys, vaults=there))

    assert halfway == {there.home: 1, kept.vaults.home: 2}
    assert readable == [JPEG, PNG + b"BACK", PNG + b"FACE"]
    assert [problem for _, problem in rest] == ["", ""]
    assert {kept.image(image_id)["store"] for image_id in ids} == {there.home}
    assert kept.keys_in_store() == []
    assert len([path for path in newer.rglob("*") if path.is_file()]) == 3
    assert list(move_images(kept.conn, keys=kept.keys, vaults=there)) == []


def test_the_command_reads_checks_and_moves(
    conn: Connection, database_url: str, investigator: str, s3: S3Server, tmp_path: Path
) -> None:
    kept = Kept(conn, KeyRing.parse(OLD), Settings.load("", {}))
    stored(kept, "FRONT")
    base = {"ENCRYPTION_KEYS": OLD, "DATABASE_URL": database_url}

    moved = run(base | s3.environment, "move")
    checked = run(base | s3.environment, "verify")
    own = {**base, **s3.environment, "DATABASE_URL": investigator}
    got = run(own, "get", "--workflow", "w-1", "--reason", REASON, "--to", str(tmp_path))
    s3.objects[0].unlink()
    missing = run(base | s3.environment, "verify")

    assert (moved.returncode, moved.stdout) == (0, "1 images moved to s3://jumio-images/images\n")
    assert checked.returncode == 0
    assert checked.stdout == "1 images well, 0 missing, 0 damaged; 0 orphans, 0 deleted, 0 too young to tell\n"
    assert (got.returncode, got.stdout) == (0, f"{tmp_path}/default.w-1.c-1.FRONT.jpg\n")
    assert (tmp_path / "default.w-1.c-1.FRONT.jpg").read_bytes() == JPEG
    assert missing.returncode == 1
    assert "missing: s3://jumio-images/images default w-1 c-1 FRONT" in missing.stdout
    assert conninfo_to_dict(investigator)["user"] == audited(conn)[-1][0]


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "deploy", "images", *arguments],
        env={**inherited_environment(), **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
