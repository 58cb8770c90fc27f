"""Processes, as the kernel lists them."""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path


def children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            after_name = path.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent and after_name[0] != "Z":
                found.append(int(path.parent.name))
    return sorted(found)


def descendants(parent: int) -> list[int]:
    return [pid for child in children(parent) for pid in (child, *descendants(child))]


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Those that are gone meanwhile have nothing to be told."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
