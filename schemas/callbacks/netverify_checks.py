"""What Netverify found besides the document: the person, and the additional checks (callback and retrieval guides)."""

from collections.abc import Mapping

from schemas.callbacks.legacy_shapes import SEARCHES
from schemas.callbacks.lenient import Object, Reader, tidy
from schemas.report import Check, Outcome

SIMILARITIES: Mapping[str, Outcome] = {
    "MATCH": "passed",
    "NO_MATCH": "rejected",
    "NOT_MATCH": "rejected",  # as the KYX tables spell it
    "NOT_POSSIBLE": "warning",
}
# Seen beside validity true; any other reason is one for false.
_NO_REASON = {None, "VALID"}
_ANSWERS: Mapping[str, Outcome] = {
    "POSITIVE_RESULT": "passed",
    "PARTIAL_RESULT": "warning",
    "NEGATIVE_RESULT": "rejected",
    "CHECK_NOT_DONE": "not_executed",
}
# Two words for one thing (KYX guide).
_DONE = frozenset({"DONE", "SUCCESS"})
# What is there only where Jumio looked at the person; alone it is not the match and the life that an approval needs.
SIGNS = ("idFaceMatch", "idFaceLiveness", "similarityScore", "similarityDecision")


def person_checks(reader: Reader, found: Object, key: str) -> list[Check]:
    """None where the person check was off; where it cannot be read, a person has to look."""
    value = found.get("identityVerification")
    if value in (None, "", [], {}):
        signs = [member for member in SIGNS if found.get(member) not in (None, "", "N/A", [], {})]
        for member in signs:
            reader.note("alone", member)
        return [Check("similarity", (key,), "warning", "NO_SIMILARITY")] if signs else []
    entries = reader.objects(found, "identityVerification")
    if len(entries) != 1:
        return [Check("similarity", (key,), "warning", "UNREADABLE")]
    return [_similarity(reader, entries[0], key), _liveness(reader, entries[0], key)]


def _similarity(reader: Reader, entry: Object, key: str) -> Check:
    """By the worse of its two words, of which one was withdrawn."""
    word, other = reader.word(entry, "similarity"), reader.word(entry, "similarityDecision")
    if word not in SIMILARITIES:
        reader.note("unknown_word" if word else "no_word", "similarity")
    if other and SIMILARITIES.get(other) != SIMILARITIES.get(word or ""):
        reader.note("contradicts", "similarityDecision")
        word = next((each for each in (word, other) if each and SIMILARITIES.get(each) == "rejected"), "CONTRADICTORY")
    return Check("similarity", (key,), SIMILARITIES.get(word or "", "warning"), word or "NO_SIMILARITY")


def _liveness(reader: Reader, entry: Object, key: str) -> Check:
    valid, reason = reader.truth(entry, "validity"), reader.word(entry, "reason")
    if valid is None:
        reader.note("unknown_word", "validity")
        return Check("liveness", (key,), "warning", reason or "NO_VALIDITY")
    if not valid:
        return Check("liveness", (key,), "rejected", reason or "INVALID")
    if reason not in _NO_REASON:
        reader.note("contradicts", "reason")
        return Check("liveness", (key,), "warning", reason or "INVALID")
    return Check("liveness", (key,), "passed", "VALID")


def additional_checks(reader: Reader, found: Object, key: str) -> list[Check]:
    """Screening and the like; what cannot be read is for a person to look at."""
    value = found.get("additionalChecks")
    if value in (None, "", [], {}):
        return []
    if not isinstance(value, dict):
        reader.note("not_object", "additionalChecks")
        return [Check("additionalChecks", (key,), "warning", "UNREADABLE")]
    return [
        Check(tidy(name), (key,), *_additional(reader, name, entry))
        for name in value
        for entry in _entries(reader, value, name)
    ]


def _entries(reader: Reader, checks: Object, name: str) -> list[Object]:
    """The entries of a check; one that says nothing where it cannot be read, which is not the same as absent."""
    found, value = reader.objects(checks, name), checks[name]
    several = value if isinstance(value, list) else [value]
    unread = [entry for entry in several if not isinstance(entry, dict) and entry not in (None, "", "N/A")]
    return [*found, {}] if unread else found


def _additional(reader: Reader, name: str, entry: Object) -> tuple[Outcome, str]:
    if name == "watchlistScreening":
        return _screening(reader, entry)
    if name == "faceSearchFindings":
        return _face_search(reader, entry)
    if name not in SEARCHES:
        reader.note("unknown_capability", name)
    word = reader.word(entry, "searchResults")
    outcome = _ANSWERS.get(word or "")
    if outcome is None:
        reader.note("unknown_word" if word else "no_word", name)
    why = reader.word(entry, "searchResponse") or reader.word(entry, "searchReason")
    return outcome or "warning", (why if outcome == "not_executed" else None) or word or "NO_RESULT"


def _screening(reader: Reader, entry: Object) -> tuple[Outcome, str]:
    """OK and ALERT are what the KYX family calls the same."""
    status = reader.word(entry, "searchStatus") or "NO_STATUS"
    if status == "NOT_DONE":
        return "not_executed", status
    if status not in _DONE:
        if status != "ERROR":
            reader.note("unknown_word", "searchStatus")
        return "warning", status
    hits = reader.word(entry, "searchResults")
    if hits is None or not (hits.isascii() and hits.isdigit()):
        reader.note("not_number", "searchResults")
        return "warning", "NO_RESULT"
    return ("warning", "ALERT") if hits.strip("0") else ("passed", "OK")


def _face_search(reader: Reader, entry: Object) -> tuple[Outcome, str]:
    status = (reader.word(entry, "status") or "NO_STATUS").upper()
    if status in {"PENDING", "ERROR"}:
        return "not_executed", status
    if status not in _DONE:
        reader.note("unknown_word", "faceSearchFindings")
        return "warning", status
    # A text where there is one, a list of several, left out where there is none.
    return ("passed", "OK") if entry.get("findings") in (None, "", [], "N/A") else ("warning", "REPEATED_FACE")
