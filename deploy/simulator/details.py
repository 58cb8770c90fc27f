"""The JSON of workflow details and steps, member for member as Jumio sends it (KYX guide)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from deploy.simulator.outcomes import NOT_FULFILLED, Decision, Outcome, decide
from deploy.simulator.people import Subject

Json = dict[str, Any]

# Order as in the samples. The last two stand for what this software has no name for: the guide's nameless table, and
# a check that does not exist yet, with data of a shape that nothing expects.
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("usability", ("ID",)),
    ("usability", ("SELFIE",)),
    ("usability", ("FACEMAP",)),
    ("imageChecks", ("SELFIE", "ID")),
    ("extraction", ("ID",)),
    ("dataChecks", ("ID",)),
    ("liveness", ("SELFIE", "FACEMAP")),
    ("similarity", ("SELFIE", "ID")),
    ("authentication", ("FACEMAP",)),
    ("watchlistScreening", ("ID",)),
    ("addressValidation", ("ID",)),
    ("proofOfResidency", ("ID",)),
    ("drivingLicenseVerification", ("DATA",)),
    ("braCpfValidation", ("ID",)),
    ("biometricVerification", ("DATA", "SELFIE")),
    ("eKycVerification", ("DATA",)),
    ("gaitRecognition", ("DATA",)),
)
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ID_IV", ("usability", "imageChecks", "extraction", "dataChecks", "liveness", "similarity")),
    ("SCREENING", ("watchlistScreening",)),
    ("ADDRESS_VERIFICATION", ("addressValidation", "proofOfResidency")),
    ("DL_VERIFICATION", ("drivingLicenseVerification",)),
)
_WORST_FIRST = ("REJECTED", "WARNING", "PASSED", "NOT_EXECUTED")


@dataclass(frozen=True)
class Case:
    """Everything that the JSON is made of; `identify` gives the same id for the same words."""

    identify: Callable[..., str]
    outcome: Outcome
    subject: Subject
    liveness_parts: tuple[int, ...]
    risk_score: float
    opened_at: datetime
    region: str
    definition_key: str
    user_reference: str
    customer_reference: str
    rng: Random

    @property
    def account_url(self) -> str:
        """Jumio's real host: a product that calls an href instead of its own URL goes astray at once."""
        return f"https://retrieval.{self.region}.jumio.ai/api/v1/accounts/{self.identify('account')}"

    @property
    def workflow_url(self) -> str:
        return f"{self.account_url}/workflow-executions/{self.identify('workflow')}"


def stamp(moment: datetime, digits: int = 3) -> str:
    """Jumio writes none to three digits of a second, and always Z."""
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{moment.microsecond:06d}"[: len(whole) + 1 + digits].rstrip(".") + "Z"


def details(case: Case) -> Json | None:
    """None where Jumio answers 404 for ever."""
    if case.outcome.details == "gone":
        return None
    frame = _frame(case)
    if case.outcome.status != "PROCESSED":
        return frame | _expired(case)

    if case.outcome.details == "v3":
        return frame | {"credentials": credentials(case), "capabilities": capabilities(case)}

    label = case.outcome.expected.upper()
    return frame | {
        "credentials": credentials(case),
        "decision": {"type": label, "details": {"label": label}, "risk": {"score": case.risk_score}},
        "steps": {"href": f"{case.workflow_url}/steps"},
        "capabilities": capabilities(case),
    }


def without_findings(found: Json) -> Json:
    """The same while the face search goes on: it has no findings yet, and its check is not done."""
    checks = [
        {**entry, "data": {"faceSearchFindings": {"status": "PENDING"}}}
        for entry in found["capabilities"]["imageChecks"]
    ]
    return found | {"capabilities": found["capabilities"] | {"imageChecks": checks}}


def _frame(case: Case) -> Json:
    started = {"startedAt": stamp(case.opened_at + timedelta(seconds=131.5), 1)}
    return {
        "workflow": {
            "id": case.identify("workflow"),
            "status": case.outcome.status,
            "definitionKey": case.definition_key,
            "userReference": case.user_reference,
            "customerInternalReference": case.customer_reference,
        },
        "account": {"id": case.identify("account")},
        "createdAt": stamp(case.opened_at),
        **(started if case.outcome.status == "PROCESSED" else {}),
        "completedAt": stamp(case.opened_at + timedelta(seconds=341), case.rng.choice((0, 2, 3))),
    }


def _expired(case: Case) -> Json:
    """Two forms are on record: REJECTED with 100 (2023), NOT_EXECUTED with -1 (newer). The status says what counts."""
    older = case.outcome.details == "older"
    decision, label, score = ("REJECTED", "REJECTED", 100.0) if older else ("NOT_EXECUTED", case.outcome.status, -1.0)
    unused = [{"id": case.identify("credential", "ID"), "category": "ID"}]
    return {
        "credentials": unused if older else [],
        "decision": {"type": decision, "details": {"label": label}, "risk": {"score": score}},
        "steps": {"href": f"{case.workflow_url}/steps"},
        "capabilities": {
            "usability": [
                {
                    "id": case.identify("capability", "usability", "ID"),
                    "credentials": unused,
                    "decision": {"type": "NOT_EXECUTED", "details": {"label": "NOT_UPLOADED"}},
                }
            ]
        }
        if older
        else {},
    }


def credentials(case: Case) -> list[Json]:
    sides = ("FRONT", "BACK") if case.subject.kind.two_sided else ("FRONT",)
    liveness = tuple(f"LIVENESS_{number}" for number in case.liveness_parts)
    parts = {"ID": sides, "SELFIE": ("FACE",), "FACEMAP": ("FACEMAP", *liveness), "DATA": ("PREPARED_DATA",)}
    return [
        {
            "id": case.identify("credential", category),
            "category": category,
            "parts": [_part(case, category, classifier) for classifier in classifiers],
        }
        for category, classifiers in parts.items()
    ]


def _part(case: Case, category: str, classifier: str) -> Json:
    """A facemap comes without href: it cannot be downloaded (recordings)."""
    if classifier == "FACEMAP":
        return {"classifier": classifier}
    credential = case.identify("credential", category)
    return {"classifier": classifier, "href": f"{case.account_url}/credentials/{credential}/parts/{classifier}"}


def capabilities(case: Case) -> Json:
    decided: dict[str, list[tuple[tuple[str, ...], Decision]]] = {}
    found: dict[str, list[Json]] = {}
    for name, categories in CHECKS:
        decision = decide(name, categories, case.outcome, case.subject.kind, decided)
        decided.setdefault(name, []).append((categories, decision))
        found.setdefault(name, []).append(_entry(case, name, categories, decision))
    return found


def _entry(case: Case, name: str, categories: tuple[str, ...], decision: Decision) -> Json:
    entry: Json = {
        "id": case.identify("capability", name, *categories),
        "credentials": [{"id": case.identify("credential", each), "category": each} for each in categories],
        "decision": {"type": decision[0], "details": {"label": decision[1]}},
    }
    # Observed (recordings): a screening that was not executed names no credentials.
    if name == "watchlistScreening" and decision == NOT_FULFILLED:
        del entry["credentials"]
    if name in _DATA:
        entry["data"] = _DATA[name](case, decision)
    if name in {"liveness", "authentication"} and decision[0] == "PASSED":
        facemap = case.identify("credential", "FACEMAP")
        entry["validFaceMapForAuthentication"] = f"{case.account_url}/credentials/{facemap}/parts/FACEMAP"
    return entry


def _findings(case: Case, decision: Decision) -> Json:
    """Present even where the check was not executed (D.2)."""
    if decision[0] in {"NOT_EXECUTED", "REJECTED"}:
        return {"faceSearchFindings": {"status": "ERROR"}}
    others = ("first", "second") if decision[1] == "REPEATED_FACE" else ()
    return {"faceSearchFindings": {"status": "DONE", "findings": [case.identify("repeated", each) for each in others]}}


def _extraction(case: Case, decision: Decision) -> Json:
    return case.subject.data if decision[0] == "PASSED" else {}


def _liveness(case: Case, decision: Decision) -> Json:
    seen = case.subject.age + (30 if decision[1] == "AGE_DIFFERENCE" else 0)
    return {"type": "JUMIO_STANDARD", "predictedAge": seen, "ageConfidenceRange": f"{seen - 8}-{seen + 8}"}


def _similarity(_case: Case, decision: Decision) -> Json:
    """Two spellings of the same (D.5): the label says NO_MATCH, the data NOT_MATCH."""
    return {} if decision[0] == "NOT_EXECUTED" else {"similarity": "MATCH" if decision[0] == "PASSED" else "NOT_MATCH"}


def _screening(case: Case, decision: Decision) -> Json:
    if decision == NOT_FULFILLED:
        return {}
    moment = case.opened_at + timedelta(seconds=340)
    reference = f"{int(moment.timestamp())}-{case.identify('search')[:8]}"
    return {
        "searchDate": stamp(moment),
        "searchId": str(int(case.identify("search")[:7], 16)),
        "searchReference": reference,
        "searchResultUrl": f"https://app.example-screening.test/public/search/{reference}/99aa",
        "searchResults": 3 if decision[1] == "ALERT" else 0,
        # Two words of one meaning (D.5).
        "searchStatus": "DONE" if case.liveness_parts[0] % 2 else "SUCCESS",
    }


_DATA: dict[str, Callable[[Case, Decision], Json]] = {
    "imageChecks": _findings,
    "extraction": _extraction,
    "liveness": _liveness,
    "similarity": _similarity,
    "authentication": lambda _case, _decision: {"type": "IPROOV_STANDARD"},
    "watchlistScreening": _screening,
    "gaitRecognition": lambda _case, _decision: {"strides": [[0.4, 0.5], [0.6]], "model": {"name": "unheard-of"}},
}


def steps(case: Case, found: Json | None) -> Json:
    """Empty where no check was run."""
    known: Json = (found or {}).get("capabilities", {})
    if case.outcome.status != "PROCESSED":
        return {"steps": []}
    return {"steps": [_step(case, name, [each for part in parts for each in known[part]]) for name, parts in STEPS]}


def _step(case: Case, name: str, entries: list[Json]) -> Json:
    decision = min((entry["decision"]["type"] for entry in entries), key=_WORST_FIRST.index)
    risk = {"risk": {"score": case.risk_score}} if name in {"ID_IV", "DL_VERIFICATION"} else {}
    return {
        "id": case.identify("step", name),
        "name": name,
        "capabilityIds": [entry["id"] for entry in entries],
        "decision": {"type": decision, "details": {"label": decision}, **risk},
    }
