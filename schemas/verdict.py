"""What we conclude: one vocabulary for every product generation."""

import hashlib
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Literal

from schemas.report import Check, Step

Outcome = Literal["passed", "rejected", "warning", "not_executed", "expired", "unsupported"]


@dataclass(frozen=True)
class Reason:
    """Why it did not pass: which check, and Jumio's word for what was wrong."""

    check: str
    label: str


@dataclass(frozen=True)
class Verdict:
    """The conclusion from one report, with the checks and steps that it rests on."""

    outcome: Outcome
    label: str
    risk_score: Decimal | None
    reasons: tuple[Reason, ...]
    checks: tuple[Check, ...]
    steps: tuple[Step, ...]

    def digest(self) -> bytes:
        """SHA-256 over everything that makes it another verdict; the order of checks does not."""
        content = asdict(self)
        for name in ("reasons", "checks", "steps"):
            content[name] = sorted(json.dumps(entry, sort_keys=True, default=str) for entry in content[name])
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
