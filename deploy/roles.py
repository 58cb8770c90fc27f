"""Logins of people and processes, each a member of one role that the migrations made."""

import secrets
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import Connection

from workers import store

PARTS = (
    *("compliance_analyst", "compliance_investigator", "compliance_auditor"),
    *("jumio_receiver", "jumio_relay", "jumio_worker", "jumio_admin"),
)
# 192 bits: nobody types it, and nobody guesses it.
_PASSWORD_BYTES = 24

Keep = Callable[[str], None]


class RoleError(Exception):
    """The login cannot be changed as asked; the text says what to do."""


def create(conn: Connection, login: str, *, part: str, keep: Keep, reason: str | None = None) -> None:
    """A new login; its password is kept before the login is committed. Raises RoleError."""
    _with_password(conn, login, keep, change="created", part=part, reason=reason)


def rotate(conn: Connection, login: str, *, keep: Keep, reason: str | None = None) -> None:
    """A new password; the old one ends at the same moment, sessions that are open stay. Raises RoleError."""
    _with_password(conn, login, keep, change="rotated", part=None, reason=reason)


def disable(conn: Connection, login: str, *, reason: str | None = None) -> None:
    """No more logging in; what the login did stays told. Raises RoleError."""
    _change(conn, login, change="disabled", part=None, verifier=None, reason=reason)


def list_logins(conn: Connection) -> list[dict[str, Any]]:
    """Members of our roles."""
    return store.rows(conn, "roles", "list_logins", {"parts": list(PARTS)})


def _with_password(
    conn: Connection, login: str, keep: Keep, *, change: str, part: str | None, reason: str | None
) -> None:
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    verifier = conn.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
    with conn.transaction():
        _change(conn, login, change=change, part=part, verifier=verifier, reason=reason)
        keep(password)


def _change(
    conn: Connection, login: str, *, change: str, part: str | None, verifier: str | None, reason: str | None
) -> None:
    values = {"change": change, "login": login, "part": part, "verifier": verifier, "reason": reason}
    try:
        store.rows(conn, "roles", "change_login", values)
    except psycopg.errors.DuplicateObject:
        raise RoleError(f"{login} exists already; a new password: jumio-pipeline roles rotate {login}") from None
    except psycopg.errors.UndefinedObject:
        raise RoleError(f"no login of ours is called {login}; see: jumio-pipeline roles list") from None
    except psycopg.errors.ReservedName:
        raise RoleError(f"{login} is a name that Postgres keeps for itself; choose another") from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise RoleError(
            f"DATABASE_URL's login may not change roles ({error.diag.message_primary}); use the one that migrates"
        ) from None
