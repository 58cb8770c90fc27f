"""Postgres, a folder and a bucket keep blobs alike; none takes away for lost, nor what is others' for its own."""

import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg import Connection

from schemas.sealing import KeyRing
from schemas.settings import Settings
from tests.s3_server import BUCKET, S3Server
from tests.workers.test_images import JPEG, Shelf
from workers.errors import VaultAwayError
from workers.vault.bucket import BucketVault
from workers.vault.folder import FolderVault
from workers.vault.vault import NoBlobError, Vault, new_key
from workers.vault.vaults import Vaults

STORES = ["postgres", "file", "s3"]


def settings_of(kind: str, folder: Path, s3: S3Server) -> Settings:
    given = {"postgres": {}, "file": {"IMAGES_URL": f"file://{folder}"}, "s3": s3.environment}
    return Settings.load("", given[kind])


@pytest.fixture(params=STORES)
def vault(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Server, conn: Connection) -> Vault:
    vaults = Vaults(settings_of(request.param, tmp_path, s3))
    assert vaults.check() is None
    return vaults.at(vaults.home, conn)


@pytest.fixture
def images(conn: Connection, keys: KeyRing) -> list[UUID]:
    """Two wanted images: blobs of Postgres belong to a row."""
    shelf = Shelf(conn, keys)
    return [shelf.want("FRONT", JPEG), shelf.want("BACK", JPEG)]


def test_what_was_put_is_read_listed_and_deleted(vault: Vault, images: list[UUID]) -> None:
    front, back = images
    keys = [new_key(front, attempt=1), new_key(front, attempt=12), new_key(back, attempt=1)]
    for number, key in enumerate(keys):
        vault.put(key, bytes([number]) * 100_000)

    assert [vault.get(key) for key in keys] == [bytes([number]) * 100_000 for number in range(3)]
    assert sorted(blob.key for blob in vault.blobs()) == sorted(keys)
    assert sorted(blob.key for blob in vault.blobs(front)) == sorted(keys[:2])
    assert [blob.key for blob in vault.blobs(back)] == keys[2:]
    assert list(vault.blobs(uuid4())) == []

    vault.delete(keys[0])
    vault.delete(keys[0])

    with pytest.raises(NoBlobError):
        vault.get(keys[0])
    assert sorted(blob.key for blob in vault.blobs()) == sorted(keys[1:])


def test_a_key_of_a_row_that_is_none_reads_and_deletes_nothing(tmp_path: Path) -> None:
    folder, secret = tmp_path / "store", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("not an image")
    vault = FolderVault(folder)

    for key in ("../secret", "/etc/passwd", f"{folder}/../secret", "aa/../../secret", ""):
        with pytest.raises(NoBlobError):
            vault.get(key)
        with pytest.raises(NoBlobError):
            vault.delete(key)

    assert secret.read_text() == "not an image"


def test_what_is_not_ours_is_never_listed(tmp_path: Path, s3: S3Server) -> None:
    own = new_key(uuid4(), attempt=1)
    bucket = BucketVault(BUCKET, "images", Settings.load("", s3.environment))
    beside = BucketVault(BUCKET, "", Settings.load("", s3.environment))
    folder = FolderVault(tmp_path)
    for vault in (bucket, folder):
        vault.put(own, b"x")
    beside.put("images/ab/notes.txt", b"x")
    beside.put("other/ab/notes.txt", b"x")
    (tmp_path / own[:2] / "notes.txt").write_text("x")
    (tmp_path / "lost+found").mkdir()

    assert [blob.key for blob in bucket.blobs()] == [blob.key for blob in folder.blobs()] == [own]


def test_a_file_is_for_its_owner_only_and_what_a_crash_left_is_listed(tmp_path: Path) -> None:
    image_id = uuid4()
    whole, torn = new_key(image_id, attempt=1), new_key(image_id, attempt=2)
    vault = FolderVault(tmp_path)
    vault.put(whole, b"x")
    (tmp_path / f"{torn}.part").write_bytes(b"half")

    assert stat.S_IMODE((tmp_path / whole).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / whole).parent.stat().st_mode) == 0o700
    assert sorted(blob.key for blob in vault.blobs(image_id)) == sorted([whole, f"{torn}.part"])


def test_a_store_that_is_away_has_lost_nothing(tmp_path: Path, s3: S3Server) -> None:
    key = new_key(uuid4(), attempt=1)
    nowhere = {**s3.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    refused = {**s3.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    away: list[Vault] = [
        FolderVault(tmp_path / "unmounted"),
        BucketVault(BUCKET, "", Settings.load("", nowhere)),
        BucketVault("no-such-bucket", "", Settings.load("", s3.environment)),
        BucketVault(BUCKET, "", Settings.load("", refused)),
    ]

    for vault in away:
        with pytest.raises(VaultAwayError, match=r"vault_away: (folder|bucket); ") as caught:
            vault.get(key)
        assert key not in str(caught.value)
        for act in (lambda vault=vault: vault.put(key, b"x"), lambda vault=vault: list(vault.blobs())):
            with pytest.raises(VaultAwayError):
                act()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"IMAGES_URL": "s3://no-such-bucket"}, "its bucket does not exist"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "refuses AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, "does not know AWS_ACCESS_KEY_ID"),
        ({"IMAGES_URL": "file:///no/such/folder"}, "its folder does not exist"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, None),
        ({"IMAGES_URL": "postgres:"}, None),
    ],
)
def test_a_worker_is_told_at_its_start_what_an_operator_must_mend(
    s3: S3Server, change: dict[str, str], complaint: str | None
) -> None:
    problem = Vaults(Settings.load("", {**s3.environment, **change})).check()

    assert (problem is None) if complaint is None else (problem is not None and complaint in problem)
