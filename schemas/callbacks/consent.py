"""What may stand beside an approval of the older generations without taking it back (callback and retrieval guides)."""

from collections.abc import Mapping

from schemas.callbacks.lenient import Object, Reader

_YES = frozenset({"YES", "TRUE", "OK", "MATCH"})
# Withdrawn and speculative fields too: whichever of them says anything else, a person has to look.
CONSENTING: Mapping[str, frozenset[str]] = {
    "status": frozenset({"DONE", "PROCESSED"}),
    "idScanStatus": frozenset({"SUCCESS", "DONE"}),
    "idCheckMRZcode": frozenset({"OK", "NOT_AVAILABLE"}),
    **dict.fromkeys(
        (
            "idCheckDataPositions", "idCheckDocumentValidation", "idCheckHologram", "idCheckMicroprint",
            "idCheckSecurityFeatures", "idCheckSignature", "idFaceMatch", "idFaceLiveness",
        ),
        _YES,
    ),
    "similarityDecision": frozenset({"MATCH"}),
}  # fmt: skip
# Until 2018 a percentage, of which no guide says from where on it is a match.
_SCORED = frozenset({"idFaceMatch"})


def objections(reader: Reader, found: Object) -> list[str]:
    """The members that contradict an approval, noted as such."""
    members = [member for member, words in CONSENTING.items() if _objects(reader, found, member, words)]
    if found.get("rejectReason") not in (None, "", [], {}):
        members.append("rejectReason")
    for member in members:
        reader.note("contradicts", member)
    return members


def _objects(reader: Reader, found: Object, member: str, words: frozenset[str]) -> bool:
    word = reader.word(found, member)
    if word is None:
        # What is there and cannot be read is not the same as absent.
        return found.get(member) not in (None, "", "N/A", [], {})
    scored = member in _SCORED and word.replace(".", "", 1).isdigit()
    return word.upper() not in words and not scored
