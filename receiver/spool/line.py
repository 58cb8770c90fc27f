"""A row <-> one line of text with its checksum. A file of lines is read on behind a damaged one."""

import json
import zlib
from base64 import b64decode, b64encode
from datetime import datetime

from uuid_utils import UUID

from receiver.arrival import Row

_CHECKSUM_BYTES = 8


class DamagedError(ValueError):
    """These bytes are not what was written, or another release wrote them."""


def write_line(row: Row) -> bytes:
    """A checksum, a blank, JSON. Body and head are sealed as in the database; the rest is as clear as it is there."""
    members = row._asdict() | {
        "id": str(row.id),
        "received_at": row.received_at.isoformat(),
        "sha256": row.sha256.hex(),
        "sealed_body": b64encode(row.sealed_body).decode(),
        "sealed_head": b64encode(row.sealed_head).decode(),
    }
    text = json.dumps(members, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_line(line: bytes) -> Row:
    """The row of a line, with or without its end. Raises DamagedError."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if len(checksum) != _CHECKSUM_BYTES or checksum != b"%08x" % zlib.crc32(text):
        raise DamagedError
    try:
        members = json.loads(text)
        return Row(
            **members
            | {
                "id": UUID(members["id"]),
                "received_at": datetime.fromisoformat(members["received_at"]),
                "sha256": bytes.fromhex(members["sha256"]),
                "sealed_body": b64decode(members["sealed_body"]),
                "sealed_head": b64decode(members["sealed_head"]),
            }
        )
    except (TypeError, ValueError, LookupError) as error:
        raise DamagedError from error


def is_torn(line: bytes) -> bool:
    """Whether it is the beginning of a line whose writer died, and no line that lost its end to damage."""
    return not line.endswith(b"\n") and line.isascii() and line.decode().isprintable()
