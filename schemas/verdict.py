"""What we conclude: one vocabulary for every product generation."""

import hashlib
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Literal

from schemas.report import Check, Family, Outcome, Reason, Step

# What a verdict rests on: what the retrieval API told us, or only what a legacy callback said itself.
Basis = Literal["retrieval", "callback"]


@dataclass(frozen=True)
class Row:
    """One line of the vocabulary: what Jumio says, and what we conclude; None where it is not done yet.

    Each family module lists its own as `vocabulary()`, made by the code that concludes; deploy/verdicts.md shows them.
    """

    family: Family
    said: str
    besides: str
    outcome: Outcome | None
    remark: str


@dataclass(frozen=True)
class Verdict:
    """The conclusion from one report, with the checks and steps that it rests on."""

    outcome: Outcome
    label: str
    risk_score: Decimal | None
    reasons: tuple[Reason, ...]
    checks: tuple[Check, ...]
    steps: tuple[Step, ...]
    rests_on: Basis = "retrieval"

    def digest(self) -> bytes:
        """SHA-256 over everything that makes it another verdict; the order of checks and the basis do not."""
        content = asdict(self)
        del content["rests_on"]
        for name in ("reasons", "checks", "steps"):
            content[name] = sorted(json.dumps(entry, sort_keys=True, default=str) for entry in content[name])
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
