"""How a transaction of an older generation can end, and what follows from it; the only table of it (callback guide)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from deploy.simulator.family import OutcomeName

FamilyName = Literal["netverify", "authentication", "document"]

# Over which a reject reason's details were seen: one is an object, several are an array, none is either of these.
Details = tuple[tuple[str, str], ...] | None


@dataclass(frozen=True)
class LegacyOutcome:
    """`status` is Jumio's final word; `opposite`, the outcome that a correction or a contradiction comes to.

    `person` is (similarity, is valid, reason), None where the person was not checked. `reject` is (code, description),
    and `details` its details; None leaves the member away. `is_listed`: the screening found the person on a list.
    """

    name: str
    status: str
    expected: OutcomeName
    person: tuple[str, bool, str] | None = None
    reject: tuple[str, str] | None = None
    details: Details = None
    is_listed: bool = False
    opposite: str = ""

    @property
    def failed_checks(self) -> tuple[tuple[str, str], ...]:
        """What the verdict's reasons should be, as (check, label)."""
        family, word = self.name.partition(".")[0], self.status.rpartition("/")[2]
        if family != "netverify":
            return ((family, word),) if self.expected in {"rejected", "warning"} else ()
        if self.reject:
            return (("document", self.reject[1]),)
        if self.is_listed:
            return (("watchlistScreening", "ALERT"),)
        if not self.person:
            return ()
        similarity, valid, reason = self.person
        unlike = () if similarity == "MATCH" else (("similarity", similarity),)
        return unlike if valid else (*unlike, ("liveness", reason))


APPROVED = "APPROVED_VERIFIED"
_MANY = (("1001", "PHOTO"), ("1004", "DOB"))
NETVERIFY = (
    LegacyOutcome(
        "netverify.approved", APPROVED, "passed", ("MATCH", True, ""), opposite="netverify.fraud_details_object"
    ),
    LegacyOutcome("netverify.no_person_check", APPROVED, "passed", opposite="netverify.fraud_without_details"),
    LegacyOutcome("netverify.no_match", APPROVED, "rejected", ("NO_MATCH", True, "")),
    LegacyOutcome("netverify.not_live", APPROVED, "rejected", ("MATCH", False, "SELFIE_IS_SCREEN_PAPER_VIDEO")),
    LegacyOutcome("netverify.not_possible", APPROVED, "warning", ("NOT_POSSIBLE", True, "")),
    LegacyOutcome("netverify.listed", APPROVED, "warning", ("MATCH", True, ""), is_listed=True),
    LegacyOutcome(
        "netverify.fraud_details_object",
        "DENIED_FRAUD",
        "rejected",
        reject=("100", "MANIPULATED_DOCUMENT"),
        details=(("10011", "PLACE_OF_BIRTH"),),
        opposite="netverify.approved",
    ),
    LegacyOutcome(
        "netverify.fraud_details_array",
        "DENIED_FRAUD",
        "rejected",
        reject=("100", "MANIPULATED_DOCUMENT"),
        details=_MANY,
        opposite="netverify.approved",
    ),
    LegacyOutcome(
        "netverify.fraud_without_details",
        "DENIED_FRAUD",
        "rejected",
        reject=("106", "FAKE"),
        opposite="netverify.no_person_check",
    ),
    LegacyOutcome(
        "netverify.blurred",
        "ERROR_NOT_READABLE_ID",
        "rejected",
        reject=("200", "NOT_READABLE_DOCUMENT"),
        details=(("2001", "BLURRED"),),
    ),
    LegacyOutcome(
        "netverify.no_document", "ERROR_NOT_READABLE_ID", "rejected", reject=("201", "NO_DOCUMENT"), details=()
    ),
    LegacyOutcome("netverify.missing_front", "ERROR_NOT_READABLE_ID", "rejected", reject=("214", "MISSING_FRONT")),
    LegacyOutcome("netverify.unsupported_type", "DENIED_UNSUPPORTED_ID_TYPE", "unsupported"),
    LegacyOutcome("netverify.unsupported_country", "DENIED_UNSUPPORTED_ID_COUNTRY", "unsupported"),
    LegacyOutcome("netverify.nothing_uploaded", "NO_ID_UPLOADED", "expired"),
)
AUTHENTICATION = (
    LegacyOutcome("authentication.passed", "PASSED", "passed", opposite="authentication.failed"),
    LegacyOutcome("authentication.failed", "FAILED", "rejected", opposite="authentication.passed"),
    LegacyOutcome("authentication.invalid", "INVALID", "rejected"),
    LegacyOutcome("authentication.expired", "EXPIRED", "expired"),
)
# `status` is the transaction's and the document's; a transaction that failed has no document. Nobody looked at whether
# the paper is genuine, so none passes (deploy/verdicts.md).
DOCUMENT = (
    LegacyOutcome("document.extracted", "DONE/EXTRACTED", "not_executed", opposite="document.discarded"),
    LegacyOutcome("document.uploaded", "DONE/UPLOADED", "not_executed"),
    LegacyOutcome("document.credit_card", "DONE/EXTRACTED", "not_executed"),
    LegacyOutcome("document.discarded", "DONE/DISCARDED", "unsupported", opposite="document.extracted"),
    LegacyOutcome("document.not_available", "DONE/NOT_AVAILABLE", "warning"),
    LegacyOutcome("document.failed", "FAILED", "expired"),
)
LEGACY: Mapping[FamilyName, tuple[LegacyOutcome, ...]] = {
    "netverify": NETVERIFY,
    "authentication": AUTHENTICATION,
    "document": DOCUMENT,
}
LEGACY_BY_NAME: Mapping[str, LegacyOutcome] = {each.name: each for table in LEGACY.values() for each in table}
