"""Whether a shared machine is ours just now, told by how fast all its cores count at once."""

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Self, TypeVar

T = TypeVar("T")

# Another's work on the same core was measured to leave 0.6 of it; what is no more than noise leaves nine tenths.
ENOUGH = 0.85
_SAMPLES = 3
_SAMPLE_SECONDS = 0.1
_PAUSE_SECONDS = 1.0


class Quiet:
    """Waits for quiet before a run, repeats one that was disturbed; `patience` is how many seconds that may take."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._cores = os.cpu_count() or 1
        self._counting = ProcessPoolExecutor(self._cores, mp_context=multiprocessing.get_context("spawn"))
        self._best = 0.0
        self.runs = self.disturbed = 0
        self.repeated: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for _ in range(_SAMPLES * _SAMPLES):
            self._speed()
        return self

    def __exit__(self, *_: object) -> None:
        self._counting.shutdown()

    def __str__(self) -> str:
        whose = "".join(f", {count} of ({name})" for name, count in sorted(self.repeated.items()))
        return (
            f"{self.disturbed} of {self.runs} runs while others used the machine, too; "
            f"{self.repeated.total()} more were repeated for that reason{whose}"
        )

    def alone(self, name: str, run: Callable[[], T]) -> T:
        """What it returns when nobody disturbs it; once patience is used up, what it returns."""
        self.runs += 1
        while True:
            began = time.monotonic()
            self._wait()
            waited = time.monotonic() - began
            found = run()
            if self._is_quiet():
                self._patience -= waited
                return found
            self._patience -= time.monotonic() - began
            if self._patience <= 0:
                self.disturbed += 1
                return found
            self.repeated[name] += 1

    def _wait(self) -> None:
        until = time.monotonic() + self._patience
        while not self._is_quiet() and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)

    def _is_quiet(self) -> bool:
        return all(self._speed() >= ENOUGH * self._best for _ in range(_SAMPLES))

    def _speed(self) -> float:
        """Of the slowest core."""
        speed = min(self._counting.map(_count, [_SAMPLE_SECONDS] * self._cores))
        self._best = max(self._best, speed)
        return speed


def _count(seconds: float) -> float:
    began = time.perf_counter()
    rounds = 0
    while (took := time.perf_counter() - began) < seconds:
        sum(range(1000))
        rounds += 1
    return rounds / took
