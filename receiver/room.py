"""How much strangers may fill: rows, bytes and pace, for what is refused and for what nobody can judge yet."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Aside = Literal["refused", "unverified"]

# The promise is a cap: enough to recover what was refused by mistake, too little to hurt the disk.
MOST_ROWS = 10_000
MOST_BYTES: Mapping[Aside, int] = {"refused": 64 * 1_048_576, "unverified": 256 * 1_048_576}
# A callback is about 1 KB; with documents' data up to some 10 KB.
MOST_REFUSED_BODY = 16_384
# A burst that was refused by mistake can be requeued whole; a flood of 2,000 a second leaves a megabyte an hour.
REFUSED_AT_ONCE, REFUSED_A_SECOND = 200, 5


@dataclass(slots=True)
class _Filled:
    rows: int = 0
    bytes: int = 0


class Room:
    """Counts what is kept aside: what Postgres said at last, and what this process added since."""

    def __init__(self) -> None:
        self._filled: dict[str, _Filled] = {}
        self._added: dict[str, _Filled] = {}
        self._traces, self._counted_at = float(REFUSED_AT_ONCE), time.monotonic()

    def paced(self) -> bool:
        """Whether one more stranger may leave a trace (a row, a log line) now."""
        now = time.monotonic()
        earned = (now - self._counted_at) * REFUSED_A_SECOND
        self._traces, self._counted_at = min(REFUSED_AT_ONCE, self._traces + earned), now
        if self._traces < 1:
            return False
        self._traces -= 1
        return True

    def take(self, state: Aside, size: int) -> bool:
        """Take room for one row, if there is any."""
        filled, added = self._filled.get(state, _Filled()), self._added.setdefault(state, _Filled())
        if filled.rows + added.rows >= MOST_ROWS or filled.bytes + added.bytes + size > MOST_BYTES[state]:
            return False
        added.rows += 1
        added.bytes += size
        return True

    def recount(self, filled: Mapping[str, tuple[int, int]]) -> None:
        """Take over Postgres' count of rows and bytes a state."""
        self._filled = {state: _Filled(*counts) for state, counts in filled.items()}
        self._added = {}
