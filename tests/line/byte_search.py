"""Where bytes of a person may be: files, dump, stream, and what the keys open; and a hash of everybody else's rows."""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from deploy.embedded.wheels import postgres_programs
from schemas.sealing import KeyRing
from schemas.settings import inherited_environment
from tests.line.conftest import Hand

# What a certificate, a tombstone and the events that tell of it leave; and what the machinery writes anyway.
LEFT = ("erasures", "tombstones", "deletions", "audit", "audit_unsealed", "audit_links")


def rows(conn: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
    return conn.execute(statement.encode(), values).fetchall()


def stream(hand: Hand) -> list[dict[bytes, bytes]]:
    settings = hand.tools.settings
    with redis.Redis.from_url(settings.broker_url.get_secret_value()) as broker:
        found: Any = broker.xrange(settings.event_stream)
    return [fields for _, fields in found]


def tables(conn: Connection) -> list[str]:
    return [row[0] for row in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'pipeline' ORDER BY 1")]


def fingerprints(conn: Connection, but: str = "") -> dict[str, str]:
    """A hash of all rows of each table, those about one workflow left out."""
    found = {}
    for table in set(tables(conn)) - set(LEFT):
        lines = sorted(str(row) for row in conn.execute(f"SELECT * FROM pipeline.{table}".encode()))
        own = report_ids(conn, but)
        kept = [line for line in lines if not but or not any(each in line for each in (but, *own))]
        found[table] = hashlib.sha256("\n".join(kept).encode()).hexdigest()
    return found


_SEEN: set[str] = set()


def report_ids(conn: Connection, key: str) -> set[str]:
    """Of reports, images and events of a workflow, also of those that are gone by now; and of what it parked."""
    for statement in (
        "SELECT id::text FROM pipeline.reports WHERE workflow_key = %s",
        "SELECT id::text FROM pipeline.images WHERE workflow_key = %s",
        "SELECT id::text FROM pipeline.callbacks WHERE workflow_key IS NULL AND %s <> ''",
    ):
        _SEEN.update(row[0] for row in rows(conn, statement, key))
    return _SEEN


def everything(hand: Hand, data_folder: Path | None) -> list[bytes]:
    """The files of Postgres, a dump, the stream, and all that the keys open."""
    hand.conn.execute("CHECKPOINT")
    settings = hand.tools.settings
    parts = files(data_folder) if data_folder else []
    parts.append(dump(settings.database_url.get_secret_value()))
    parts += [value for entry in stream(hand) for value in entry.values()]
    return [*parts, *opened(hand.conn, settings.keys)]


def missing(needles: Iterable[bytes], parts: Sequence[bytes]) -> list[bytes]:
    """Those that are in none of them."""
    return [needle for needle in needles if not any(needle in part for part in parts)]


def dump(url: str) -> bytes:
    """By Postgres's own tool, with all data."""
    parts = conninfo_to_dict(url)
    environment = {**inherited_environment(), "PGPASSWORD": str(parts.pop("password"))}
    command = [postgres_programs(None) / "pg_dump", make_conninfo("", **parts)]
    return subprocess.run(command, env=environment, capture_output=True, check=True).stdout


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


def opened(conn: Connection, keys: KeyRing) -> Iterator[bytes]:
    for row_id, body, head in conn.execute("SELECT id, sealed_body, sealed_head FROM pipeline.callbacks"):
        yield keys.unseal(body, place=f"callbacks.body/{row_id}")
        yield keys.unseal(head, place=f"callbacks.head/{row_id}")
    for row_id, sealed in conn.execute("SELECT id, sealed FROM pipeline.reports"):
        yield keys.unseal_text(sealed, place=f"reports.sealed/{row_id}")
    for row_id, sealed in conn.execute("SELECT image_id, sealed FROM pipeline.image_blobs"):
        yield keys.unseal(sealed, place=f"image_blobs.sealed/{row_id}")
