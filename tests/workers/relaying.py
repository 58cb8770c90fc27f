"""Callbacks for a relay to send, and what waits in the broker's queues."""

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

import redis
from psycopg import Connection

from workers.broker import QUEUES


def put(conn: Connection, count: int = 1, state: str = "stored", address: str = "192.0.2.10") -> list[str]:
    """Callbacks as the receiver keeps them."""
    ids = [str(uuid4()) for _ in range(count)]
    conn.execute(
        "INSERT INTO pipeline.callbacks (id, tenant, client_address, source_evidence, bytes, sha256, sealed_body,"
        " sealed_head, state, last_error, finished_at) SELECT unnest(%(ids)s::uuid[]), 'default', %(address)s::inet,"
        " '{}', 0, %(sha256)s, '', '', %(state)s::text, CASE WHEN %(state)s = 'refused' THEN 'source: x' END,"
        " CASE WHEN %(state)s = 'refused' THEN now() END",
        {"ids": ids, "sha256": hashlib.sha256(b"").digest(), "state": state, "address": address},
    )
    return ids


def messages(valkey: "redis.Redis", table: str = "callbacks") -> list[dict[str, Any]]:
    queue = "jumio:" + QUEUES[table]  # type: ignore[index]
    return [json.loads(message) for message in valkey.lrange(queue, 0, -1)]


def sent(valkey: "redis.Redis", table: str = "callbacks") -> list[str]:
    """The ids of the rows whose task waits in the queue."""
    return [
        json.loads(base64.b64decode(message["body"]))[0][0]
        for message in messages(valkey, table)
        if message["headers"]["task"] != "pulse"
    ]


def leased(conn: Connection) -> int:
    [(count,)] = conn.execute("SELECT count(*) FROM pipeline.callbacks WHERE leased_until > now()").fetchall()
    return int(count)
