"""How much waits in a spool, and since when: for metrics, readiness and `status`."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from receiver.spool.folder import name_folder, read_name
from receiver.spool.segment import DAMAGED_SUFFIX, SUFFIX, begun_at, listed


@dataclass(frozen=True, slots=True)
class Depth:
    """One look at a folder. `counted` is what the next look need not read again: rows by file and its size.

    `name` is the folder's own, which it has as soon as something is set aside in it.
    """

    rows: int = 0
    bytes: int = 0
    since: datetime | None = None
    # Lines that were set aside, and segments that cannot be read.
    damaged_files: int = 0
    # 0 where it cannot be told, nothing before the first look.
    free_bytes: float = math.nan
    name: str | None = None
    counted: Mapping[tuple[str, int], int] = field(default_factory=dict)


def measure(folder: Path, *, known: Depth | None = None) -> Depth:
    """Count rows of all segments, whoever writes them. Raises OSError where the folder cannot be read."""
    before = known.counted if known else {}
    counted: dict[tuple[str, int], int] = {}
    begun, unread = [], 0
    for path in listed(folder, SUFFIX):
        try:
            size = path.stat().st_size
            if rows := before.get((path.name, size)) or _rows(path):
                begun.append(begun_at(path))
                counted[path.name, size] = rows
        except FileNotFoundError:  # drained meanwhile
            continue
        except OSError:
            unread += 1
    damaged = len(listed(folder, DAMAGED_SUFFIX))
    return Depth(
        rows=sum(counted.values()),
        bytes=sum(size for _, size in counted),
        since=min(begun, default=None),
        damaged_files=damaged + unread,
        free_bytes=shutil.disk_usage(folder).free if folder.exists() else 0.0,
        name=name_folder(folder) if damaged or unread else read_name(folder),
        counted=counted,
    )


def _rows(path: Path) -> int:
    """Lines with something in them; the checksums are looked at when they are drained."""
    with path.open("rb") as file:
        return sum(line != b"\n" for line in file)
