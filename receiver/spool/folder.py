"""A folder's own name, by which whoever has it mounted knows that it is the same: the hosts of containers differ."""

import contextlib
import os
import re
import secrets
from pathlib import Path

_FILE = ".folder"
_NAME = re.compile(r"[0-9a-f]{32}")


def read_name(folder: Path) -> str | None:
    """None where it has none yet, or cannot be read."""
    try:
        text = (folder / _FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if _NAME.fullmatch(text) else None


def name_folder(folder: Path) -> str | None:
    """The name, given now if need be; None where no file can be written, or another process is at it just now."""
    if name := read_name(folder):
        return name
    # It has one already, or the disk takes nothing: then there is none until the next look. A link: all or nothing.
    fresh = folder / f"{_FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
            file.flush()
            os.fsync(file.fileno())
        (folder / _FILE).hardlink_to(fresh)
    with contextlib.suppress(OSError):
        fresh.unlink(missing_ok=True)
    return read_name(folder)
