"""One invented event of each type, made by the code that makes the real ones."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from schemas.events.data import event_data
from schemas.events.envelope import TRIAL, EventType, TrialType, envelope

_MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_KEY = {"tenant": "default", "family": "kyx", "workflow_key": "6f2c1f7e-3b0a-4d1e-9c55-0a1b2c3d4e5f"}
_REFERENCES = {
    **_KEY,
    "account_id": "c1a5f0de-7b1b-4a53-8a3c-1f2e3d4c5b6a",
    "user_reference": "user-000417",
    "customer_reference": "onboarding-2026-0815",
}
_PASSED = {
    **_REFERENCES,
    "status": "PROCESSED",
    "outcome": "passed",
    "label": "OK",
    "risk_score": 12.0,
    "verdict_version": 1,
    "decided_at": _MOMENT,
    "checks": [
        {"name": "usability", "outcome": "passed", "label": "OK"},
        {"name": "similarity", "outcome": "passed", "label": "MATCH"},
    ],
}
_REJECTED = {
    **_PASSED,
    "outcome": "rejected",
    "label": "DIGITAL_COPY",
    "risk_score": 100.0,
    "verdict_version": 2,
    "checks": [{"name": "imageChecks", "outcome": "rejected", "label": "DIGITAL_COPY"}],
}
_RAN_OUT = {
    **_PASSED,
    "status": "SESSION_EXPIRED",
    "outcome": "expired",
    "label": "SESSION_EXPIRED",
    "risk_score": None,
    "checks": [],
}
_IMAGES = {**_REFERENCES, "outcome": "passed", "verdict_version": 1, "images_wanted": 4, "images_stored": 4}
_SUBSCRIPTION = "019b7c9d-0000-7000-8000-0000000000aa"
_EXAMPLES: Mapping[EventType | TrialType, tuple[int, Mapping[str, Any]]] = {
    "kyc.workflow.decided.v1": (1, _PASSED),
    "kyc.workflow.changed.v1": (3, _REJECTED),
    "kyc.workflow.expired.v1": (1, _RAN_OUT),
    "kyc.workflow.images-stored.v1": (2, _IMAGES),
    "kyc.subject.erased.v1": (4, {**_KEY, "reason": "erasure"}),
    TRIAL: (1, {"test": True, "subscription_id": _SUBSCRIPTION}),
}


def example(event_type: EventType | TrialType) -> dict[str, Any]:
    """A whole event, as it is sent."""
    sequence, data = _EXAMPLES[event_type]
    document: dict[str, Any] = json.loads(
        envelope(
            UUID(int=0x019B7C9D_0000_7000_8000_000000000000 + sequence),
            event_type,
            source="/jumio-pipeline",
            subject=_SUBSCRIPTION if event_type == TRIAL else _KEY["workflow_key"],
            sequence=sequence,
            occurred_at=_MOMENT,
            data=event_data(event_type, data),
        )
    )
    return document
