"""Rows -> the arrays of insert_callbacks, in Postgres' own binary form: psycopg calls Python for every single value."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any

from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format
from uuid_utils import UUID

from receiver.arrival import Row

_INTEGER, _LONG = Struct("!i").pack, Struct("!q").pack
# Dimensions, whether there are nulls, type of the elements, how many, counted from.
_HEAD = Struct("!iiIii").pack
_NULL = _INTEGER(-1)
_EPOCH, _MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Packed(bytes):
    """An array as Postgres reads it; the statement names its type."""


class PackedDumper(Dumper):
    """Hands it over as it is."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer:
        return obj


class UuidDumper(Dumper):
    """psycopg knows Python's own; this one is made in a tenth of the time."""

    format = Format.BINARY
    oid = types["uuid"].oid

    def dump(self, obj: UUID) -> Buffer:
        return obj.bytes


def take_rows(connection: AsyncConnection[Any]) -> None:
    """Let statements on the connection take a row's members, and what as_columns makes of several."""
    connection.adapters.register_dumper(Packed, PackedDumper)
    connection.adapters.register_dumper(UUID, UuidDumper)


def as_columns(rows: Iterable[Row]) -> dict[str, Packed]:
    """An array a column."""
    columns = zip(*rows, strict=True)
    return {name: _array(oid, encode, values) for (name, (oid, encode)), values in zip(_COLUMNS, columns, strict=True)}


def _array(oid: int, encode: Callable[[Any], bytes], values: Sequence[Any]) -> Packed:
    count = len(values)
    if values.count(values[0]) == count:
        # Most columns of a batch are one value over and over.
        elements = [_element(encode, values[0])] * count
    else:
        elements = [_element(encode, value) for value in values]
    return Packed(b"".join((_HEAD(1, _NULL in elements, oid, count, 1), *elements)))


def _element(encode: Callable[[Any], bytes], value: object) -> bytes:
    if value is None:
        return _NULL
    encoded = encode(value)
    return _INTEGER(len(encoded)) + encoded


def _timestamp(value: datetime) -> bytes:
    return _LONG((value - _EPOCH) // _MICROSECOND)


@lru_cache(maxsize=1024)
def _text(value: str) -> bytes:
    return value.encode()


_ENCODERS: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "id": ("uuid", lambda value: value.bytes),
    "received_at": ("timestamptz", _timestamp),
    "bytes": ("int4", _INTEGER),
    "sha256": ("bytea", bytes),
    "sealed_body": ("bytea", bytes),
    "sealed_head": ("bytea", bytes),
}
_COLUMNS = [
    (name, (types[kind].oid, encode)) for name in Row._fields for kind, encode in [_ENCODERS.get(name, ("text", _text))]
]
