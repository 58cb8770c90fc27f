"""The wall clocks of our processes, set by a small library that is compiled here, where there is a C compiler."""

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# Not libfaketime: its clock_nanosleep fails with EINVAL where monotonic clocks stay true, and time.sleep with it.
_SOURCE = Path(__file__).with_name("clock.c")


@dataclass(frozen=True)
class Clock:
    """One offset for each side of the line; monotonic clocks stay true, as when an operator sets the time."""

    library: Path
    folder: Path

    @classmethod
    def where_possible(cls, folder: Path) -> Self | None:
        """None where nothing compiles it."""
        compiler = shutil.which("cc")
        library = folder / "clock.so"
        if compiler is None:
            return None
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
        done = subprocess.run(command, capture_output=True, check=False)
        return cls(library, folder) if done.returncode == 0 else None

    def environment(self, side: str) -> dict[str, str]:
        self.step(side, 0)
        return {"LD_PRELOAD": str(self.library), "CRASH_PROOF_CLOCK": str(self._offset(side))}

    def step(self, side: str, seconds: int) -> None:
        """In place, because the processes have the file mapped."""
        path = self._offset(side)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def _offset(self, side: str) -> Path:
        return self.folder / f"clock-{side}"
