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


class UnreadError(OSError):
    """There is more in the file than was read of it."""


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
            # Otherwise drained and removed by another process between the opening and the lock.
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

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
        """What is in it, byte for byte; the last line may have no end."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            yield from file

    def set_aside(self, lines: Sequence[bytes]) -> None:
        """Keep lines that cannot be drained in a file beside this one, fsynced. Raises OSError."""
        path = self.path.with_suffix(DAMAGED_SUFFIX)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
            # What another drain of this segment wrote, that was killed over it or could not remove the segment.
            there = [line.rstrip(b"\n") for line in file]
            if there:
                file.seek(-1, os.SEEK_END)
                file.writelines([b"\n"] if file.read() != b"\n" else [])
            known = frozenset(there)
            file.writelines(line + b"\n" for line in (each.rstrip(b"\n") for each in lines) if line not in known)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)

    def remove(self, *, read_bytes: int) -> None:
        """Its lines, so many bytes, are elsewhere. Raises OSError; UnreadError where those are not all of it."""
        if os.fstat(self._descriptor).st_size != read_bytes:
            raise UnreadError
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it, so that it may be drained."""
        os.close(self._descriptor)


def listed(folder: Path, suffix: str) -> list[Path]:
    """The files of this kind, the oldest first. Raises OSError where the folder is there and cannot be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == suffix)
    except FileNotFoundError:
        return []


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
