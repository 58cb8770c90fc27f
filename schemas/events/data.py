"""What the data of each type of event holds: the one source of the schemas, the AsyncAPI document and the examples."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.events.envelope import TRIAL, EventType, TrialType
from schemas.report import Family, Outcome

# What a first verdict of a transaction can be: time that ran out has a type of its own.
FirstOutcome = Literal["passed", "rejected", "warning", "not_executed", "unsupported"]
# A number without a fraction is 12.0, as it is in every event so far.
Score = Annotated[float, Field(description="Jumio's risk score, 0 to 100; -1 where Jumio did not compute it.")]
Word = Annotated[str, Field(description="Jumio's own word. New ones may come at any time.")]


class Shape(BaseModel):
    """What is not in the model is not in an event; values are in no error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Transaction(Shape):
    """Which transaction: the three together name it for ever; the event's subject is workflow_key."""

    tenant: str = Field(description="Which Jumio customer account of ours.")
    family: Family = Field(description="Product generation.")
    workflow_key: str = Field(description="Workflow execution id, scan reference or transaction reference.")


class References(Transaction):
    """Under which names you know it."""

    account_id: str | None = Field(description="Jumio's id of the account, where the generation has one.")
    user_reference: str | None = Field(description="Your own reference of the user, as you gave it to Jumio.")
    customer_reference: str | None = Field(
        description="Your own reference of the transaction, as you gave it to Jumio."
    )


class CheckResult(Shape):
    """One check of the current report."""

    name: Word
    outcome: Outcome
    label: Word


class VerdictData(References):
    """A verdict as it stands with this event."""

    status: Word
    outcome: Outcome = Field(description="What to act on.")
    label: Word
    risk_score: Score | None
    verdict_version: int = Field(ge=1, description="Counts up from 1 for each transaction.")
    decided_at: datetime = Field(description="When the verdict was recorded.")
    checks: tuple[CheckResult, ...]


class Decided(VerdictData):
    """The first verdict of a transaction."""

    outcome: FirstOutcome = Field(description="What to act on.")


class Changed(VerdictData):
    """Jumio revised its result: this verdict replaces the one before."""


class Expired(VerdictData):
    """The journey ran out of time before there was a verdict on the person."""

    outcome: Literal["expired"] = Field(description="Always expired.")


class ImagesStored(References):
    """Every image that Jumio offered is stored, or known not to be had."""

    outcome: Outcome = Field(description="The outcome of the verdict that stands.")
    verdict_version: int = Field(ge=1, description="The version of the verdict that stands.")
    images_wanted: int = Field(ge=0, description="Images that Jumio offered.")
    images_stored: int = Field(ge=0, description="Images that are stored.")


class Erased(Transaction):
    """What was kept of this transaction has been erased: erase what you keep of it, too."""

    reason: Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,39}$")] = Field(
        description="Why, as a class: so far always erasure. One word, so that it cannot be a text about a person."
    )


class Trial(Shape):
    """An operator tries whether a subscriber hears: about no workflow, and nothing to act on."""

    test: Literal[True] = Field(description="Always true.")
    subscription_id: UUID = Field(description="Which subscription is tried; the event's subject, too.")


class EvidenceDetail(Shape):
    """What exactly was wrong, where Jumio says it."""

    code: str
    label: Word


class EvidenceReason(Shape):
    """Why it did not pass."""

    check: str
    label: Word
    code: str | None
    details: tuple[EvidenceDetail, ...]


class EvidenceCheck(CheckResult):
    """One check, on which credentials of the account."""

    credential_ids: tuple[str, ...]


class EvidenceStep(Shape):
    """One step of the workflow."""

    name: Word
    outcome: Outcome
    label: Word
    risk_score: Score | None


class Evidence(Shape):
    """What the verdict rests on; for subscriptions with --enrich checks."""

    reasons: tuple[EvidenceReason, ...]
    checks: tuple[EvidenceCheck, ...]
    steps: tuple[EvidenceStep, ...]


class Identity(Shape):
    """Personal data in the clear, as Jumio read it; for subscriptions with --enrich identity."""

    document_type: str | None
    document_subtype: str | None
    issuing_country: str | None
    first_name: str | None
    last_name: str | None
    date_of_birth: str | None
    document_number: str | None
    issuing_date: str | None
    expiry_date: str | None


class Enrichment(Shape):
    """What a subscription may ask for besides; each is there only if it was asked for."""

    evidence: Evidence | None = None
    identities: tuple[Identity, ...] | None = None


DATA: Mapping[EventType, type[Transaction]] = {
    "kyc.workflow.decided.v1": Decided,
    "kyc.workflow.changed.v1": Changed,
    "kyc.workflow.expired.v1": Expired,
    "kyc.workflow.images-stored.v1": ImagesStored,
    "kyc.subject.erased.v1": Erased,
}
# Everything that a subscriber may be sent.
CATALOGUE: Mapping[EventType | TrialType, type[Shape]] = dict((*DATA.items(), (TRIAL, Trial)))
# What an erased subject had is not told again.
ENRICHABLE: tuple[EventType, ...] = tuple(name for name in DATA if name != "kyc.subject.erased.v1")


def event_data(event_type: EventType | TrialType, values: Mapping[str, Any]) -> dict[str, Any]:
    """The data of an event, as JSON types. Raises ValidationError where the type has no such data."""
    return CATALOGUE[event_type].model_validate(values).model_dump(mode="json")
