"""What DNS told this receiver -> Postgres, and back what it told the others: a restart without DNS has it all."""

from collections.abc import Iterable, Sequence

import psycopg
from psycopg.rows import class_row

from receiver.addresses import Sighting
from receiver.lookup import Outcome
from receiver.postgres import connected
from schemas.sql.queries import query


async def load(database_url: str) -> list[Sighting]:
    """Every sighting that is kept. Raises psycopg.Error."""
    async with connected(database_url) as connection, connection.cursor(row_factory=class_row(Sighting)) as cursor:
        await cursor.execute(query("sources", "read_addresses"))
        return await cursor.fetchall()


async def exchange(database_url: str, sightings: Sequence[Sighting], outcomes: Iterable[Outcome]) -> list[Sighting]:
    """Keep what is known here, and read what all know. Raises psycopg.Error."""
    async with connected(database_url) as connection:
        async with connection.transaction():
            await connection.execute(query("sources", "keep_addresses"), _columns(sightings))
            await connection.execute(query("sources", "keep_lookups"), _lookups(outcomes))
            await connection.execute(query("sources", "forget_addresses"))
        async with connection.cursor(row_factory=class_row(Sighting)) as cursor:
            await cursor.execute(query("sources", "read_addresses"))
            return await cursor.fetchall()


def _columns(sightings: Sequence[Sighting]) -> dict[str, list[object]]:
    return {
        "name": [sighting.name for sighting in sightings],
        "address": [str(sighting.address) for sighting in sightings],
        "first_seen_at": [sighting.first_seen_at for sighting in sightings],
        "last_seen_at": [sighting.last_seen_at for sighting in sightings],
        "left_at": [sighting.left_at for sighting in sightings],
    }


def _lookups(outcomes: Iterable[Outcome]) -> dict[str, list[object]]:
    asked = list(outcomes)
    return {
        "name": [outcome.name for outcome in asked],
        "record_type": [outcome.record_type for outcome in asked],
        "answered_at": [None if outcome.failure else outcome.at for outcome in asked],
        "failed_at": [outcome.at if outcome.failure else None for outcome in asked],
        "failure": [outcome.failure for outcome in asked],
    }


AWAY = (psycopg.Error, OSError)
