"""A verdict or a set of images -> one CloudEvents 1.0 document: references and outcomes, no personal data."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

EventType = Literal[
    "kyc.workflow.decided.v1",
    "kyc.workflow.changed.v1",
    "kyc.workflow.expired.v1",
    "kyc.workflow.images-stored.v1",
    "kyc.subject.erased.v1",
]
# What an operator sends to see whether a subscriber hears: about no workflow, and on no stream.
TrialType = Literal["kyc.subscription.test.v1"]
TRIAL: TrialType = "kyc.subscription.test.v1"
CONTENT_TYPE = "application/cloudevents+json"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"


def envelope(
    event_id: UUID,
    event_type: EventType | TrialType,
    *,
    source: str,
    subject: str,
    sequence: int,
    occurred_at: datetime,
    data: Mapping[str, Any],
) -> str:
    """Structured mode JSON, the exact text that is signed and sent at every try."""
    return _text(
        {
            "specversion": "1.0",
            "id": str(event_id),
            "source": source,
            "type": event_type,
            "subject": subject,
            "time": occurred_at.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "sequence": sequence,
            "data": data,
        }
    )


def enriched(body: str, more: Mapping[str, Any]) -> str:
    """The same event with more data, and the name of the schema that has a place for it."""
    event: dict[str, Any] = json.loads(body)
    data = event.pop("data")
    return _text({**event, "dataschema": schema_id(event["type"], enriched=True), "data": {**data, **more}})


def schema_id(event_type: str, *, enriched: bool = False) -> str:
    """The name of the schema of its data; with it an enriched event says what it is."""
    return f"urn:jumio-pipeline:{event_type}" + (":enriched" if enriched else "")


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
