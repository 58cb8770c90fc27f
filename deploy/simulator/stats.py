"""What was asked, when, and how it was answered: the proof of a client's manners."""

import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

# What counts against Jumio's 15 a second for a tenant, and against the budget of the older generations, which is
# counted over five seconds (docs.jumio.com).
KYX = ("status", "details", "steps", "part")
LEGACY = ("legacy_status", "legacy_data", "legacy_images", "legacy_image")
LEGACY_SECONDS = 5.0


@dataclass(frozen=True)
class Asked:
    """`at` is monotonic, of this process. `resource` is a path without secrets."""

    at: float
    endpoint: str
    resource: str
    answer: int


class Stats:
    """Of one customer. Written by the server's thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[Asked] = []
        self._arrivals: list[tuple[float, str]] = []

    def arrived(self, endpoint: str) -> float:
        now = time.monotonic()
        with self._lock:
            self._arrivals.append((now, endpoint))
        return now

    def answered(self, at: float, endpoint: str, resource: str, answer: int) -> None:
        with self._lock:
            self._asked.append(Asked(at, endpoint, resource, answer))

    @property
    def asked(self) -> tuple[Asked, ...]:
        with self._lock:
            return tuple(self._asked)

    @property
    def counts(self) -> Counter[str]:
        with self._lock:
            return Counter(endpoint for _, endpoint in self._arrivals)

    def times(self, *endpoints: str) -> list[float]:
        """Arrivals at these endpoints, all of them where none is named."""
        with self._lock:
            return [at for at, endpoint in self._arrivals if not endpoints or endpoint in endpoints]

    def highest_rate(self, *endpoints: str, seconds: float = 1.0) -> int:
        """The most arrivals within any such time; of the KYX retrieval where no endpoint is named."""
        times = self.times(*(endpoints or KYX))
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def recent(self, endpoints: Collection[str], seconds: float) -> int:
        """Arrivals in the time that ends now."""
        now = time.monotonic()
        with self._lock:
            found = 0
            for at, endpoint in reversed(self._arrivals):
                if now - at >= seconds:
                    break
                found += endpoint in endpoints
            return found

    def as_dict(self) -> dict[str, Any]:
        asked = self.asked
        return {
            "requests": dict(self.counts),
            "answers": dict(Counter(f"{each.endpoint} {each.answer}" for each in asked)),
            "highest_rate": self.highest_rate(),
            "highest_legacy_rate": self.highest_rate(*LEGACY),
            "asked": [vars(each) for each in asked],
        }
