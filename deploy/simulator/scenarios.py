"""KYX workflow executions, invented from a seed, each knowing what the product should conclude."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from deploy.simulator.details import Case, Json, details, stamp, steps, without_findings
from deploy.simulator.dice import dice, identifier
from deploy.simulator.family import Expectation
from deploy.simulator.outcomes import BY_NAME, CATALOGUE, Outcome
from deploy.simulator.people import invent

# The day of the published samples: without a given start, a seed gives the same bytes for ever.
SAMPLE_DAY = datetime(2026, 2, 3, 10, 10, 0, 2000, tzinfo=UTC)
NOT_IMAGES = {"PREPARED_DATA"}
# What a corrected one comes to: the opposite, by a check that every workflow has.
CORRECTED = {"passed": "rejected.manipulated_document", "rejected": "passed", "warning": "passed"}

_BANDS = {"passed": (0, 3000), "warning": (3100, 7000), "rejected": (7100, 10000)}
_STAGES = {
    "PROCESSED": ("INITIATED", "ACQUISITION_STARTED", "ACQUIRED"),
    "SESSION_EXPIRED": ("INITIATED", "ACQUISITION_STARTED"),
    "TOKEN_EXPIRED": ("INITIATED",),
}
_NEED_IMAGES = {"truncated_image", "not_an_image", "missing_image"}
_NEED_DETAILS = {"not_ready", "malformed", "slow"}
# What the face search finds is not known at first.
_FOUND_LATER = {"warning.repeated_face": "passed"}


# In the place of a decision that there is none of.
_UNDECIDED = {"details": {"label": "NO_DECISION"}}


@dataclass
class Execution:
    """A KYX workflow execution as Jumio holds it. `details` is None where they can never be read."""

    seed: int | str
    index: int
    outcome: Outcome
    opened_at: datetime = SAMPLE_DAY
    region: str = "amer-1"
    family: str = field(default="kyx", init=False)
    media_type: str = field(default="application/json", init=False)

    def __post_init__(self) -> None:
        self._say(self.outcome)

    def _say(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.case = self._case(outcome)
        self.details: Json | None = details(self.case)
        self.steps: Json = steps(self.case, self.details)
        self.expectation = _expect(self.case, self.details)

    def _case(self, outcome: Outcome) -> Case:
        rng = dice(self.seed, self.index, "case")
        shown = list(range(1, rng.randint(2, 6) + 1))
        rng.shuffle(shown)
        low, high = _BANDS.get(outcome.expected, (0, 0))
        # Two decimals at most (D.1); whole ones stay integers, as in the samples.
        score = dice(self.seed, self.index, "risk", outcome.name).randint(low, high) / 100
        return Case(
            identify=partial(identifier, self.seed, self.index),
            outcome=outcome,
            subject=invent(dice(self.seed, self.index, "subject")),
            liveness_parts=tuple(shown),
            risk_score=int(score) if score.is_integer() else score,
            opened_at=self.opened_at,
            region=self.region,
            definition_key="2" if outcome.details == "v3" else rng.choice(("10164", "10163", "3")),
            user_reference=f"user-{self.seed}-{self.index:06d}",
            customer_reference=f"order-{self.seed}-{self.index:06d}",
            rng=rng,
        )

    @property
    def key(self) -> str:
        return self.case.identify("workflow")

    @property
    def account_id(self) -> str:
        return self.case.identify("account")

    @property
    def user_reference(self) -> str:
        return self.case.user_reference

    @property
    def customer_reference(self) -> str:
        return self.case.customer_reference

    @property
    def status(self) -> str:
        return self.outcome.status

    @property
    def stages(self) -> Sequence[str]:
        return _STAGES[self.status]

    @property
    def credentials(self) -> Sequence[str]:
        return [credential["id"] for credential in (self.details or {}).get("credentials", ())]

    @property
    def images(self) -> tuple[tuple[str, str], ...]:
        """(credential id, classifier) of every downloadable image."""
        return _images(self.details)

    def callback(self, status: str, sent_at: datetime) -> bytes:
        body = {
            # A digit or two are dropped now and then, as Jumio does.
            "callbackSentAt": stamp(sent_at, 3 - self.index % 3),
            "userReference": self.user_reference,
            "workflowExecution": {
                "id": self.key,
                "href": self.case.workflow_url,
                "definitionKey": self.case.definition_key,
                "status": status,
            },
            "account": {"id": self.account_id, "href": self.case.account_url},
        }
        return json.dumps(body, ensure_ascii=False, indent=2 if self.index % 5 == 0 else None).encode()

    def status_document(self, status: str) -> Json:
        """With the short workflow href of the published sample, which lacks the account (A.2)."""
        short = f"https://retrieval.{self.region}.jumio.ai/api/v1/workflow-executions/{self.key}"
        return {
            "account": {"id": self.account_id, "href": self.case.account_url},
            "workflowExecution": {
                "id": self.key,
                "href": short,
                "definitionKey": self.case.definition_key,
                "status": status,
            },
        }

    def prepared_data(self) -> Json:
        return {"firstName": self.case.subject.data["firstName"], "lastName": self.case.subject.data["lastName"]}

    def suffers(self, fault: str) -> bool:
        if fault in _NEED_IMAGES:
            return bool(self.images)
        if fault == "corrected":
            return self.outcome.expected in CORRECTED and self.outcome.details != "v3"
        if fault == "findings_pending":
            return self.outcome.status == "PROCESSED"
        return fault != "contradiction" and (fault not in _NEED_DETAILS or self.details is not None)

    def befall(self, faults: Collection[str]) -> Expectation | None:
        if "findings_pending" not in faults or self.outcome.name not in _FOUND_LATER:
            return None
        first = self._first()
        return _expect(first, details(first))

    @property
    def provisional_details(self) -> Json:
        """What is read while the face search goes on."""
        return without_findings(details(self._first()) or {})

    def _first(self) -> Case:
        return self._case(BY_NAME[_FOUND_LATER.get(self.outcome.name, self.outcome.name)])

    def correct(self) -> None:
        self._say(BY_NAME[CORRECTED[self.outcome.expected]])


def invent_executions(
    seed: int | str,
    count: int,
    *,
    outcomes: Sequence[str] = (),
    first: int = 0,
    opened_at: datetime = SAMPLE_DAY,
    region: str = "amer-1",
) -> list[Execution]:
    """`outcomes` (names of the catalogue) are dealt in turn; without them, by weight.

    Raises KeyError for a name that is not in the catalogue.
    """
    return [
        Execution(
            seed,
            index,
            BY_NAME[outcomes[(index - first) % len(outcomes)]] if outcomes else _by_weight(seed, index),
            opened_at + timedelta(seconds=7 * index, milliseconds=13 * index),
            region,
        )
        for index in range(first, first + count)
    ]


def _by_weight(seed: int | str, index: int) -> Outcome:
    [outcome] = dice(seed, index, "outcome").choices(CATALOGUE, weights=[each.weight for each in CATALOGUE])
    return outcome


def _images(found: dict[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple(
        (credential["id"], part["classifier"])
        for credential in (found or {}).get("credentials", ())
        for part in credential.get("parts", ())
        if "href" in part and part["classifier"] not in NOT_IMAGES
    )


def _expect(case: Case, found: Json | None) -> Expectation:
    checks = (
        (name, entry["decision"]["details"]["label"])
        for name, entries in (found or {}).get("capabilities", {}).items()
        for entry in entries
        if entry["decision"]["type"] in {"REJECTED", "WARNING"}
    )
    return Expectation(
        outcome=case.outcome.expected,
        label=found.get("decision", _UNDECIDED)["details"]["label"] if found else None,
        images=len(_images(found)),
        failed_checks=tuple(checks),
    )
