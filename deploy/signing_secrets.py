"""What events to a subscriber are signed with, as an operator gives, makes and rotates it."""

import os
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection

from deploy.subscriptions import SubscriptionError, check_secret, find, tell
from schemas.events.signing import PRIVATE_PREFIX, new_private_key, new_secret, public_key
from schemas.sealing import KeyRing
from workers.secrets import open_secret, rotate


@dataclass(frozen=True)
class Secret:
    """A signing secret; a subscriber that shares none verifies with the public key."""

    text: str
    generated: bool

    @property
    def public_key(self) -> str | None:
        return public_key(self.text)


def choose_secret(path: Path | None, *, ed25519: bool) -> Secret:
    """The one in the file or, without a file, a new one. Raises SubscriptionError."""
    if path is not None:
        text, made = read_or_create_secret_file(path, ed25519=ed25519)
        if ed25519 and not text.startswith(PRIVATE_PREFIX):
            raise SubscriptionError(f"the secret file holds no Ed25519 key: that begins with {PRIVATE_PREFIX}")
        return Secret(text, made)
    return Secret(new_private_key() if ed25519 else new_secret(), generated=True)


def rotate_secret(
    conn: Connection, id_or_url: str, *, keys: KeyRing, path: Path | None, ed25519: bool, seconds: float
) -> Secret:
    """Sign with a new secret from now on, and for so long with the old one too.

    Raises SubscriptionError, UnsealError.
    """
    found = find(conn, id_or_url)
    old = open_secret(keys, found.id, found.sealed_secret)
    new = choose_secret(path, ed25519=ed25519 or (path is None and old.startswith(PRIVATE_PREFIX)))
    if new.text == old:
        raise SubscriptionError("the secret file holds the secret that is in use; name a file that does not exist")
    with conn.transaction():
        if not rotate(conn, keys, found.id, found.sealed_secret, secret=new.text, seconds=seconds):
            raise SubscriptionError("someone else rotated it at the same time; see who, then do it again")
        tell(conn, "rotated", found.id, old_signs_seconds=seconds)
    return new


def read_or_create_secret_file(path: Path, *, ed25519: bool = False) -> tuple[str, bool]:
    """The secret in a file, and whether it was made just now; a file that exists is never written.

    Raises SubscriptionError.
    """
    secret = new_private_key() if ed25519 else new_secret()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_secret_file(path), False
    except OSError as error:
        raise SubscriptionError(f"the secret file cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{secret}\n")
    return secret, True


def _read_secret_file(path: Path) -> str:
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SubscriptionError(f"the secret file cannot be read: {type(error).__name__}") from None
    check_secret(secret)
    return secret
