"""Workers that know nothing of each other, on one region of a scripted Jumio."""

from dataclasses import dataclass, field
from uuid import uuid4

from psycopg import Connection

from schemas.sealing import KeyRing
from tests.workers.jumio.scripted import Asked, Script, Server, reply, tenant_at
from workers import store
from workers.errors import LineError
from workers.jumio.breaker import Breaker
from workers.jumio.client import Jumio
from workers.jumio.token import Tokens
from workers.jumio.transport import Http

WINDOW_OVER = "UPDATE pipeline.breakers SET opened_until = clock_timestamp() - interval '1 second'"
ACCOUNT, WORKFLOW, CREDENTIAL = (str(uuid4()) for _ in range(3))


@dataclass
class Region:
    """Every host of one region: what it answers to tokens, retrieval, images and for its health."""

    token: int = 200
    retrieval: int = 200
    image: int = 200
    gone: bool = False
    page: bytes = field(default_factory=lambda: reply(200, b'{"status": "UP"}'))

    def __call__(self, asked: Asked) -> Script:
        if self.gone:
            return []
        if asked.path == "/":
            return [self.page]
        if asked.path == "/oauth2/token":
            return [reply(self.token, b'{"access_token": "t", "expires_in": 3600}')]
        if "/parts/" in asked.path:
            return [reply(self.image, b"{}")]
        return [reply(self.retrieval, b"{}")]


@dataclass(frozen=True)
class Fleet:
    """Workers of one tenant, each with a client of its own, on one region."""

    conn: Connection
    region: Region
    server: Server
    http: Http
    keys: KeyRing

    def worker(self, tenant: str = "default", http: Http | None = None) -> Jumio:
        found = tenant_at(self.server.url, name=tenant)
        http = http or self.http
        return Jumio(found, http, Tokens(found, http, self.keys), breaker=Breaker(found, http))

    def ask(self, times: int = 1, *, tenant: str = "default") -> list[type[LineError] | None]:
        """Each time as another worker that knows nothing of the others."""
        return [self._error(self.worker(tenant)) for _ in range(times)]

    def asked(self) -> int:
        return len(self.server.of("/api/v1/"))

    def _error(self, jumio: Jumio) -> type[LineError] | None:
        try:
            jumio.details(self.conn, ACCOUNT, WORKFLOW)
        except LineError as error:
            return type(error)
        return None


def open_parts(conn: Connection) -> list[str]:
    return [row["part"] for row in store.rows(conn, "breakers", "open_breakers")]
