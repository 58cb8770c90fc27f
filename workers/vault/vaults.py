"""Every store that images are in: new ones go to IMAGES_URL, old ones are where their row says."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from psycopg import Connection

from schemas.settings import Settings
from workers.vault.bucket import BucketVault
from workers.vault.folder import FolderVault
from workers.vault.postgres import PostgresVault
from workers.vault.vault import Vault


class Vaults:
    """Opened when first asked for, one each a process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._outside: dict[str, FolderVault | BucketVault] = {}

    @property
    def home(self) -> str:
        """The URL of the store for new images."""
        return self._settings.images_url

    def at(self, url: str, conn: Connection) -> Vault:
        """The store of a URL as a row says it."""
        return PostgresVault(conn) if url == "postgres:" else self._open(url)

    def check(self) -> str | None:
        """What must be mended before IMAGES_URL can be written to, or None."""
        return None if self.home == "postgres:" else self._open(self.home).check()

    def _open(self, url: str) -> FolderVault | BucketVault:
        if url not in self._outside:
            parts = urlsplit(url)
            self._outside[url] = (
                FolderVault(Path(url2pathname(parts.path)))
                if parts.scheme == "file"
                else BucketVault(parts.netloc, parts.path.strip("/"), self._settings)
            )
        return self._outside[url]
