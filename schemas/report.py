"""What Jumio found, in our words: one shape for every product generation."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Family = Literal["kyx", "netverify", "authentication", "document"]
CheckOutcome = Literal["passed", "rejected", "warning", "not_executed"]


@dataclass(frozen=True)
class Decision:
    """Jumio's own decision: an outcome in our vocabulary beside Jumio's word for it."""

    outcome: CheckOutcome
    label: str
    risk_score: Decimal | None = None


@dataclass(frozen=True)
class Check:
    """One capability result: which check, on which credentials, with what decision."""

    capability: str
    credential_ids: tuple[str, ...]
    outcome: CheckOutcome
    label: str


@dataclass(frozen=True)
class Step:
    """One step of the workflow: a group of checks with a decision of its own."""

    step_id: str
    name: str
    outcome: CheckOutcome
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


@dataclass(frozen=True)
class Part:
    """One image that belongs to the workflow; `offered` where Jumio gave an address to download it from."""

    credential_id: str
    category: str
    classifier: str
    offered: bool


@dataclass(frozen=True, repr=False)
class Report:
    """Everything that one reading of Jumio's retrieval API said about one transaction.

    `raw` is what Jumio sent, canonical JSON in UTF-8, for the record; `status` is Jumio's own word.
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
