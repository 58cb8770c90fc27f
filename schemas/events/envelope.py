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
CONTENT_TYPE = "application/cloudevents+json"


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
    return json.dumps(
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
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )
