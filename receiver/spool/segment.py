"""One append-only file of the spool. Whoever holds its lock writes it or drains it; a dead process holds none."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

SUFFIX = ".spool"
# Where lines go that Postgres will never take: beside the segment, until somebody has looked at them.
DAMAGED_SUFFIX = ".damaged"
_STAMP = "%Y%m%dT%H%M%S.%fZ"
# Blank lines mean nothing to a reader, and show that a disk takes writes.
_BLANK = b"\n" * 65_536


class Segment:
    """A file that is open and locked. Its name says when it was begun."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Begin one, with its name as durable as its lines will be. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = folder / f"{datetime.now(UTC):{_STAMP}}-{secrets.token_hex(4)}{SUFFIX}"
            segment = cls._lock(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600))
            if segment is not None:
                sync_folder(folder)
                return segment

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Take over one that nobody holds; None where somebody does, or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        return cls._lock(path, descriptor)

    @classmethod
    def _lock(cls, path: Path, descriptor: int) -> Self | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # Drained and removed by another process between the opening and the lock.
        if os.fstat(descriptor).st_nlink == 0:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, lines: Sequence[bytes]) -> None:
        """Write and fsync. Raises OSError; then nothing of it is in the file, or the file must be given up."""
        data = memoryview(b"".join(lines))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size = os.fstat(self._descriptor).st_size

    def prove(self) -> None:
        """Write and fsync something that means nothing. Raises OSError."""
        size = self.size
        try:
            self.append([_BLANK])
        finally:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def lines(self) -> Iterator[bytes]:
        """What is in it, blank lines left out; the last may have no end."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            yield from (line for line in file if line != b"\n")

    def set_aside(self, lines: Sequence[bytes]) -> None:
        """Keep lines that cannot be drained in a file beside this one, fsynced. Raises OSError."""
        path = self.path.with_suffix(DAMAGED_SUFFIX)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.writelines(line.rstrip(b"\n") + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)

    def remove(self) -> None:
        """Its lines are committed elsewhere. Raises OSError."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it, so that it may be drained."""
        os.close(self._descriptor)


def begun_at(path: Path) -> datetime:
    """When a segment was begun, by its name; a file that somebody renamed, by its time of change."""
    try:
        return datetime.strptime(path.name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def sync_folder(folder: Path) -> None:
    """Make names that were added durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
