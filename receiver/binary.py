"""Values -> Postgres' own binary form: psycopg calls Python several times for each."""

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

from receiver.arrival import Row

integer, _LONG = Struct("!i").pack, Struct("!q").pack
# Dimensions, whether there are nulls, type of the elements, how many, counted from.
_HEAD = Struct("!iiIii").pack
_NULL = integer(-1)
_EPOCH, _MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Packed(bytes):
    """An array as Postgres reads it; the statement names its type."""


class PackedDumper(Dumper):
    """Hands it over as it is."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer:
        return obj


def take_rows(connection: AsyncConnection[Any]) -> None:
    """Let psycopg's statements on the connection take what as_columns makes."""
    connection.adapters.register_dumper(Packed, PackedDumper)


def as_columns(rows: Iterable[Row]) -> dict[str, Packed]:
    """Several rows: an array a column, in the order of a row's members."""
    columns = zip(*rows, strict=True)
    return {name: _array(oid, encode, values) for (name, (oid, encode)), values in zip(_COLUMNS, columns, strict=True)}


def as_values(row: Row) -> list[bytes | None]:
    """One row, in the order of its members."""
    return [None if value is None else encode(value) for encode, value in zip(_ENCODE, row, strict=True)]


def timestamp(value: datetime) -> bytes:
    """A timestamptz: microseconds since 2000."""
    return _LONG((value - _EPOCH) // _MICROSECOND)


@lru_cache(maxsize=1024)
def text(value: str) -> bytes:
    """The few that there are come again and again."""
    return value.encode()


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
    return integer(len(encoded)) + encoded


_ENCODERS: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "id": ("uuid", lambda value: value.bytes),
    "received_at": ("timestamptz", timestamp),
    "bytes": ("int4", integer),
    "sha256": ("bytea", bytes),
    "sealed_body": ("bytea", bytes),
    "sealed_head": ("bytea", bytes),
}
_COLUMNS = [
    (name, (types[kind].oid, encode)) for name in Row._fields for kind, encode in [_ENCODERS.get(name, ("text", text))]
]
_ENCODE = [encode for _, (_, encode) in _COLUMNS]
