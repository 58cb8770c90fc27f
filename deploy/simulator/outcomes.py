"""How a workflow can end, and which checks a failed one takes with it (KYX guide)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.simulator.family import OutcomeName
from deploy.simulator.people import Kind

Decision = tuple[str, str]
NOT_FULFILLED: Decision = ("NOT_EXECUTED", "PRECONDITION_NOT_FULFILLED")


@dataclass(frozen=True)
class Outcome:
    """`name` is what scenarios are asked for by; the first failing check is what leads to it."""

    name: str
    expected: OutcomeName
    status: str = "PROCESSED"
    capability: str = ""
    category: str = ""
    decision: Decision = ("", "")
    # Expired: are details gone (404), as in the data of 2023, or as in the newer documentation (C.5, D.1)?
    # v3: of before the platform, with checks and no decision.
    details: str = "full"
    weight: int = 1


def _rejected(capability: str, label: str, category: str = "") -> Outcome:
    return Outcome(
        f"rejected.{label.lower()}", "rejected", "PROCESSED", capability, category, ("REJECTED", label), weight=2
    )


def _warning(capability: str, label: str, category: str = "") -> Outcome:
    return Outcome(
        f"warning.{label.lower()}", "warning", "PROCESSED", capability, category, ("WARNING", label), weight=2
    )


def _expired(status: str, details: str) -> Outcome:
    return Outcome(f"{status.lower()}.{details}", "expired", status, details=details)


CATALOGUE = (
    Outcome("passed", "passed", weight=20),
    _rejected("imageChecks", "DIGITAL_COPY"),
    _rejected("imageChecks", "MANIPULATED_DOCUMENT"),
    _rejected("similarity", "NO_MATCH"),
    _rejected("usability", "BLURRED", "ID"),
    _rejected("liveness", "MULTIPLE_PEOPLE"),
    _rejected("dataChecks", "MRZ_CHECKSUM"),
    _warning("imageChecks", "REPEATED_FACE"),
    _warning("watchlistScreening", "ALERT"),
    _warning("liveness", "AGE_DIFFERENCE"),
    _warning("usability", "UNSUPPORTED_COUNTRY", "ID"),
    *(_expired(status, form) for status in ("SESSION_EXPIRED", "TOKEN_EXPIRED") for form in ("gone", "older", "newer")),
)
# Dealt only where they are asked for by name. Without a decision a person has to look, unless a check was rejected.
RARE = (
    Outcome("v3.all_passed", "warning", details="v3"),
    Outcome("v3.no_match", "rejected", "PROCESSED", "similarity", decision=("REJECTED", "NO_MATCH"), details="v3"),
)
BY_NAME: Mapping[str, Outcome] = {outcome.name: outcome for outcome in (*CATALOGUE, *RARE)}

_AFTER_EXTRACTION = ("usability", "imageChecks", "extraction")
DEPENDS_ON: Mapping[str, tuple[str, ...]] = {
    "imageChecks": ("usability",),
    "extraction": ("usability", "imageChecks"),
    "dataChecks": _AFTER_EXTRACTION,
    "liveness": ("usability",),
    "similarity": ("usability",),
    "authentication": ("usability",),
    "watchlistScreening": _AFTER_EXTRACTION,
    "addressValidation": _AFTER_EXTRACTION,
    "proofOfResidency": _AFTER_EXTRACTION,
    "drivingLicenseVerification": _AFTER_EXTRACTION,
    "braCpfValidation": _AFTER_EXTRACTION,
    "biometricVerification": ("usability",),
}
_BEST_LABEL = {"similarity": "MATCH", "biometricVerification": "LOW_RISK"}

# What was decided so far: per capability, (credential categories, decision) of each entry.
Decided = Mapping[str, Sequence[tuple[tuple[str, ...], Decision]]]


def decide(capability: str, categories: tuple[str, ...], outcome: Outcome, kind: Kind, decided: Decided) -> Decision:
    if _blocked(capability, categories, decided):
        return NOT_FULFILLED
    if outcome.capability == capability and (not outcome.category or outcome.category in categories):
        return outcome.decision
    if capability == "braCpfValidation" and kind.country != "BRA":
        return "WARNING", "UNSUPPORTED_COUNTRY"
    if capability == "drivingLicenseVerification" and kind.type != "DRIVING_LICENSE":
        return "NOT_EXECUTED", "UNSUPPORTED_COUNTRY"
    if capability in {"addressValidation", "proofOfResidency"} and not kind.has_address:
        return "NOT_EXECUTED", "NOT_ENOUGH_DATA"
    return "PASSED", _BEST_LABEL.get(capability, "OK")


def _blocked(capability: str, categories: tuple[str, ...], decided: Decided) -> bool:
    """Usability is judged a credential at a time: a blurred document does not stop the check of the face."""
    return any(
        decision in {"REJECTED", "NOT_EXECUTED"}
        and (needed != "usability" or bool({*checked} & {*categories, *_implied(capability)}))
        for needed in DEPENDS_ON.get(capability, ())
        for checked, (decision, _) in decided.get(needed, ())
    )


def _implied(capability: str) -> tuple[str, ...]:
    return ("ID",) if DEPENDS_ON[capability] == _AFTER_EXTRACTION else ()
