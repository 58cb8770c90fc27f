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
    # It exists already, or the disk takes nothing: then it has no name until the next look.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    return read_name(folder)
