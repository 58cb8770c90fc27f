"""What can go wrong, by name; each strikes the first requests for a resource, so everything ends well eventually."""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy.simulator.dice import dice
from deploy.simulator.family import Transaction

FAULTS: Mapping[str, str] = {
    "late": "the callback comes some seconds later",
    "duplicate": "the same callback again: once byte for byte, once with a newer callbackSentAt",
    "out_of_order": "the final callback first, the statuses that led to it afterwards",
    "wrong_source": "a copy of the callback is posted from an address that is not in DNS, before the genuine one",
    "corrected": "after the first result was read it changes to another decision, and a second callback is sent",
    "contradiction": "the retrieval API v2 says the opposite of the callback, and nothing of an update",
    "old_encoding": "JSON callbacks labelled as a form, or encoded as one, whole or by members, as in 2021",
    "findings_pending": "the first reads of details say that the face search is not done",
    "token_expired_early": "the token is revoked before its time: 401 once",
    "429": "too many requests, with Retry-After or without",
    "5xx": "500, 502 with HTML, 503",
    "slow": "the response is delayed, or sent a byte at a time",
    "not_ready": "the first reads of details answer 404 or status ACQUIRED",
    "malformed": "details that are no JSON document of a workflow",
    "truncated_image": "Content-Length promises more than is sent, then the connection closes",
    "not_an_image": "HTML with 200",
    "missing_image": "404",
}
_READS = ("status", "details", "steps", "part")
# Which requests a fault strikes, in the order in which they are tried.
STRIKES: Mapping[str, tuple[str, ...]] = {
    "token_expired_early": _READS,
    "429": _READS,
    "5xx": _READS,
    "not_ready": ("status", "details"),
    "malformed": ("details",),
    "truncated_image": ("part",),
    "not_an_image": ("part",),
    "missing_image": ("part",),
    "findings_pending": ("details",),
    "slow": ("details", "part"),
}
# Counted per workflow, not per resource: a poll of the status must bring readiness nearer too, and haste is not a
# matter of what is asked for.
_PER_WORKFLOW = {"token_expired_early", "429", "not_ready", "findings_pending"}
# Two changes of one result come to nobody knows what; and of an answer that is broken nobody knows whether it was read,
# which a correction waits for.
_APART = ({"corrected", "contradiction", "findings_pending"}, {"corrected", "malformed"})
# One failure proves a retry; not_ready has to outlast a product that merely reads twice.
_TIMES = {"not_ready": 2}
DEFAULT_RATE = 0.2


def parse_faults(words: Iterable[str]) -> dict[str, float]:
    """`429=0.5`, or only the name for the default rate. Raises ValueError for an unknown name or rate."""
    rates: dict[str, float] = {}
    for word in words:
        name, _, rate = word.strip().partition("=")
        if name not in FAULTS:
            raise ValueError(f"{name} is not a fault; there are: {', '.join(FAULTS)}")
        rates[name] = float(rate) if rate else DEFAULT_RATE
        if not 0 <= rates[name] <= 1:
            raise ValueError(f"the rate of {name} is not between 0 and 1")
    return rates


class Faults:
    """Who suffers what. Safe to change from any thread."""

    def __init__(
        self,
        seed: int | str = 0,
        *,
        times: Mapping[str, int] | None = None,
        late_seconds: float = 2.0,
        slow_seconds: float = 0.3,
        drip_bytes: int = 64,
    ) -> None:
        """`times`: how many requests for one resource a fault strikes. `drip_bytes`: how many of a body come singly."""
        self.late_seconds, self.slow_seconds, self.drip_bytes = late_seconds, slow_seconds, drip_bytes
        self._seed = seed
        self._times = {**_TIMES, **(times or {})}
        self._lock = threading.Lock()
        self._given: dict[str, set[str]] = {}
        self._struck: Counter[tuple[str, str, str]] = Counter()

    def give(self, key: str, *names: str) -> None:
        """Exactly these faults to this workflow, besides what it has."""
        parse_faults(names)
        with self._lock:
            self._given.setdefault(key, set()).update(names)

    def deal(self, transactions: Sequence[Transaction], rates: Mapping[str, float]) -> None:
        """By rate, but at least once each where any transaction can suffer it."""
        for name, rate in rates.items():
            able = [each for each in transactions if each.suffers(name) and not self._clashes(each.key, name)]
            struck = [each for each in able if dice(self._seed, name, each.key).random() < rate]
            if able and rate and not struck:
                struck = [dice(self._seed, name).choice(able)]
            for each in struck:
                self.give(each.key, name)

    def _clashes(self, key: str, name: str) -> bool:
        return any(name in apart and self.of(key) & apart - {name} for apart in _APART)

    def of(self, key: str) -> frozenset[str]:
        with self._lock:
            return frozenset(self._given.get(key, ()))

    def next_strike(self, key: str, endpoint: str, resource: str) -> str | None:
        """The fault that befalls this request; asking uses it up."""
        with self._lock:
            for name, endpoints in STRIKES.items():
                if name not in self._given.get(key, ()) or endpoint not in endpoints:
                    continue
                place = (name, key, "" if name in _PER_WORKFLOW else resource)
                if self._struck[place] < self._times.get(name, 1):
                    self._struck[place] += 1
                    return name
        return None

    @property
    def struck(self) -> Counter[str]:
        """How many requests each fault has befallen."""
        with self._lock:
            total: Counter[str] = Counter()
            for (name, _, _), count in self._struck.items():
                total[name] += count
            return total

    def variant(self, name: str, resource: str, of: int) -> int:
        """Which form the next strike takes: they follow each other, from a start that the resource decides."""
        return (dice(self._seed, name, resource).randrange(of) + self.struck[name]) % of


def malformed(document: dict[str, Any], form: int) -> bytes:
    """The forms of a broken answer. Those that still parse are otherwise true: whoever bears them concludes rightly."""
    body = json.dumps(document).encode()
    marked = json.dumps({**document, "account": {**document.get("account", {}), "note": "\0"}}).encode()
    forms = (
        body[: len(body) // 2],
        b"",
        body[:-1] + b', "score": NaN}',
        marked,
        b"[" + body + b"]",
    )
    return forms[form]


MALFORMED_FORMS = 5
