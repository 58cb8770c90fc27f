"""A folder as a store. Own code: obstore's LocalStore renames into place, but syncs neither file nor folder."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from workers.errors import VaultAwayError
from workers.vault.vault import Blob, NoBlobError, is_key, prefix_of

_PART = ".part"


class FolderVault:
    """One file a blob, in 256 folders. The folder itself is made by the operator: an unmounted disk must not be one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self) -> str | None:
        """What the operator must mend before anything can be kept, or None."""
        if not self._folder.is_dir():
            return "its folder does not exist; make it on a disk that outlives the machine, and give it to the worker"
        return None if os.access(self._folder, os.W_OK | os.X_OK) else "its folder may not be written"

    def put(self, key: str, sealed: bytes) -> None:
        """Write beside, sync, rename, sync the name."""
        path = self._path(key)
        part = path.with_name(path.name + _PART)
        with _away():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # Also where another process has just made it: he may not have come to his sync.
            _sync_folder(self._folder)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
            _sync_folder(path.parent)

    def get(self, key: str) -> bytes:
        """See Vault."""
        path = self._path(key)
        try:
            with _away():
                return path.read_bytes()
        except VaultAwayError as error:
            # A disk that is not mounted has lost nothing.
            if isinstance(error.__cause__, FileNotFoundError) and self._folder.is_dir():
                raise NoBlobError(key) from error
            raise

    def delete(self, key: str) -> None:
        """See Vault; synced, so that what was erased does not come back with a crash."""
        path = self._path(key)
        with _away():
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_folder(path.parent)

    def blobs(self, image_id: UUID | None = None) -> Iterator[Blob]:
        """See Vault."""
        with _away():
            shards = sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir())
        beginning = "" if image_id is None else prefix_of(image_id)
        for shard in shards:
            if not beginning or beginning.startswith(f"{shard}/"):
                yield from (blob for blob in self._shard(shard) if blob.key.startswith(beginning))

    def _shard(self, shard: str) -> Iterator[Blob]:
        with _away():
            names = sorted(entry.name for entry in os.scandir(self._folder / shard))
        for name in names:
            if is_key(f"{shard}/{name}"):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    changed = (self._folder / shard / name).stat().st_mtime
                    yield Blob(f"{shard}/{name}", datetime.fromtimestamp(changed, UTC))

    def _path(self, key: str) -> Path:
        """Only ever inside of the folder, whatever a row says."""
        if not is_key(key):
            raise NoBlobError("not a key of this software's")
        return self._folder / key


@contextlib.contextmanager
def _away() -> Iterator[None]:
    """The text of an OSError names a path, and a path an image: its kind will do."""
    try:
        yield
    except OSError as error:
        raise VaultAwayError("folder", type(error).__name__) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
