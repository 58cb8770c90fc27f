"""Keys of the older generations -> what retrieval API v2 says about them, asked with Basic authentication."""

import base64
import re

from psycopg import Connection

from schemas.callbacks.family import LegacyFamily
from schemas.settings import Tenant
from workers.errors import JumioNotFoundError, JumioRefusedError, UnreadableError, WithheldError
from workers.jumio.breaker import Breaker
from workers.jumio.budget import Budget, Use
from workers.jumio.client import IMAGE, JSON, Caller, require_id
from workers.jumio.lenient import read_object
from workers.jumio.transport import Http, Method

_ROOT = "/api/netverify/v2"
# What is not an image, though it is downloaded as one.
_ACCEPT = {"ORIGINAL": "application/pdf"}
# Families make their paths from what a callback or an answer named: words and slashes, no query: so no maskhint.
_PATH = re.compile(r"(/[0-9A-Za-z_-]+)+", re.ASCII)


class Legacy:
    """Retrieval API v2 of one tenant (retrieval guide). The connection is used for the breaker; errors as of Jumio."""

    def __init__(
        self, tenant: Tenant, http: Http, budget: Budget | None = None, breaker: Breaker | None = None
    ) -> None:
        self._tenant = tenant
        self._caller = Caller(http, budget, breaker)

    @property
    def enabled(self) -> bool:
        """There are credentials; without them a callback's own word decides."""
        return bool(self._tenant.legacy_token and self._tenant.legacy_secret.get_secret_value())

    def documents(self, conn: Connection, family: LegacyFamily, key: str) -> dict[str, bytes | None]:
        """What the family's report is made from; None for one that Jumio does not have, the first excepted.

        Raises JumioNotFoundError where the first is not there.
        """
        found: dict[str, bytes | None] = {}
        for name, path in family.reads(require_id(key)).items():
            try:
                body = self._read(conn, family, path, asked=name)
            except JumioNotFoundError:
                if not found:
                    raise
                found[name] = None
                continue
            read_object(body, asked=name)
            found[name] = body
        return found

    def image(self, conn: Connection, family: LegacyFamily, key: str, classifier: str) -> bytes:
        """The bytes as they came: whether they are an image is the caller's to find out.

        Raises WithheldError where this image alone is refused (retrieval guide): the transaction itself is shown.
        """
        try:
            path = family.image_path(require_id(key), classifier)
        except ValueError:
            raise UnreadableError("classifier", "is not one that may stand in a path") from None
        try:
            accept = _ACCEPT.get(classifier, IMAGE)
            return self._read(conn, family, path, asked="image", use="images", accept=accept)
        except JumioRefusedError as error:
            self._read(conn, family, next(iter(family.reads(key).values())), asked="status")
            raise WithheldError(*error.args[:2]) from None

    def delete(self, conn: Connection, family: LegacyFamily, key: str) -> None:
        """One transaction, at once and for good: at the path of the first document that is read of it."""
        path = next(iter(family.reads(require_id(key)).values()))
        self._read(conn, family, path, asked="deletion", method="DELETE")

    def _read(
        self,
        conn: Connection,
        family: LegacyFamily,
        path: str,
        *,
        asked: str,
        use: Use = "details",
        accept: str = JSON,
        method: Method = "GET",
    ) -> bytes:
        if _PATH.fullmatch(path) is None:
            raise UnreadableError("path", "is not one that may be asked for")
        base = self._tenant.legacy_url if family.HOST == "legacy" else self._tenant.legacy_documents_url
        pair = f"{self._tenant.legacy_token}:{self._tenant.legacy_secret.get_secret_value()}".encode()
        headers = {
            "Accept": accept,
            "Authorization": f"Basic {base64.b64encode(pair).decode()}",
            "User-Agent": self._tenant.user_agent,
        }
        self._caller.admit(conn)
        answer = self._caller.ask(conn, f"{base}{_ROOT}{path}", asked=asked, headers=headers, use=use, method=method)
        return self._caller.settle(conn, answer, asked=asked, use=use)
