"""What Jumio found, in our words: one shape for every product generation."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

# Which there are is said by the modules of schemas/callbacks.
Family = str

Outcome = Literal["passed", "rejected", "warning", "not_executed", "expired", "unsupported"]


@dataclass(frozen=True)
class Decision:
    """Jumio's own decision: an outcome in our vocabulary beside Jumio's word for it."""

    outcome: Outcome
    label: str
    risk_score: Decimal | None = None


@dataclass(frozen=True)
class Detail:
    """What exactly was wrong, where Jumio says it: its code and its word, for example 1001 and PHOTO."""

    code: str
    label: str


@dataclass(frozen=True)
class Reason:
    """Why it did not pass: which check, Jumio's word for what was wrong, and its code where it has one."""

    check: str
    label: str
    code: str | None = None
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True)
class Check:
    """One capability result: which check, on which credentials, with what decision."""

    capability: str
    credential_ids: tuple[str, ...]
    outcome: Outcome
    label: str


@dataclass(frozen=True)
class Step:
    """One step of the workflow: a group of checks with a decision of its own."""

    step_id: str
    name: str
    outcome: Outcome
    label: str
    risk_score: Decimal | None = None


@dataclass(frozen=True, repr=False)
class Identity:
    """Data extracted from one document. Personal: never logged, and shown by no repr."""

    document_type: str | None = None
    document_subtype: str | None = None
    issuing_country: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    date_of_birth: str | None = None
    document_number: str | None = None
    issuing_date: str | None = None
    expiry_date: str | None = None
    issuing_state: str | None = None


@dataclass(frozen=True)
class Part:
    """One image that belongs to the workflow; `offered` where Jumio gave an address to download it from."""

    credential_id: str
    category: str
    classifier: str
    offered: bool


@dataclass(frozen=True, repr=False)
class Report:
    """Everything that one reading said about one transaction: of the retrieval API, or of a legacy callback itself.

    `raw` is what Jumio sent, canonical JSON; `status` is Jumio's own word. `provisional`: Jumio is not done with a part
    of it, so it is read again. `said_at`: when Jumio last changed it, if known.
    """

    family: Family
    workflow_key: str
    account_id: str
    status: str
    final: bool
    expired: bool
    raw: bytes
    decision: Decision | None = None
    definition_key: str | None = None
    user_reference: str | None = None
    customer_reference: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    checks: tuple[Check, ...] = ()
    steps: tuple[Step, ...] = ()
    identities: tuple[Identity, ...] = ()
    parts: tuple[Part, ...] = ()
    oddities: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    provisional: bool = False
    said_at: datetime | None = None
