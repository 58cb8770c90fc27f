"""How customers prove who they are: OAuth2 tokens as Jumio grants them, and Basic for v2 (KYX and retrieval guides)."""

import base64
import binascii
import json
import secrets
import threading
import time
from dataclasses import dataclass

# Jumio's, and the upper limit of what is told to the client.
TOKEN_SECONDS = 3600


class Tokens:
    """One valid token at a time, cached: whoever asks again gets the same one with less time left."""

    def __init__(self, client_id: str, client_secret: str, *, seconds: float = TOKEN_SECONDS) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.seconds = seconds
        self._lock = threading.Lock()
        self._current = ""
        self._ends = 0.0
        self._valid: dict[str, float] = {}

    def knows(self, client_id: str, client_secret: str) -> bool:
        return secrets.compare_digest(f"{client_id}:{client_secret}", f"{self.client_id}:{self.client_secret}")

    def grant(self) -> tuple[str, int]:
        """The token and its remaining whole seconds."""
        now = time.time()
        with self._lock:
            if self._current not in self._valid or self._ends <= now + 1:
                self._ends = now + self.seconds
                self._current = _jwt(now, self._ends)
                self._valid[self._current] = self._ends
                return self._current, int(self.seconds)
            return self._current, int(self._ends - now)

    def admits(self, token: str) -> bool:
        with self._lock:
            return self._valid.get(token, 0.0) > time.time()

    def revoke(self) -> None:
        """Everything granted so far is worth nothing from now on."""
        with self._lock:
            self._valid.clear()


@dataclass(frozen=True)
class Basic:
    """API token and secret of one customer, for the older generations."""

    token: str
    secret: str

    def admits(self, header: str) -> bool:
        scheme, _, encoded = header.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(given, f"{self.token}:{self.secret}".encode())


def _jwt(issued: float, ends: float) -> str:
    parts = ({"alg": "none"}, {"exp": int(ends), "iat": int(issued), "jti": secrets.token_hex(8)})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
