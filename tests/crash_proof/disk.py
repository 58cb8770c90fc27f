"""A disk that is small enough to be filled."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE = "8m"
_BLOCK = bytes(65_536)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A tmpfs on the folder; None where mounting is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "tmpfs", str(folder)]
    with contextlib.suppress(OSError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield folder
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    yield None


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is left."""
    stuffing = folder / "stuffing"
    with stuffing.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(_BLOCK)
    try:
        yield
    finally:
        stuffing.unlink()
