"""Why Netverify rejected: one spelling of each reason, whatever of it Jumio left out (callback guide)."""

from collections.abc import Mapping

from schemas.callbacks.lenient import Object, Reader
from schemas.report import Detail, Reason

_REASONS = """
100 MANIPULATED_DOCUMENT 102 PHOTOCOPY_BLACK_WHITE 103 PHOTOCOPY_COLOR 104 DIGITAL_COPY 105 FRAUDSTER 106 FAKE
107 PHOTO_MISMATCH 108 MRZ_CHECK_FAILED 109 PUNCHED_DOCUMENT 110 CHIP_DATA_MANIPULATED
111 MISMATCH_PRINTED_BARCODE_DATA 112 CHIP_MISSING 113 MISMATCHING_DATA_REPEATED_FACE 114 DIGITAL_MANIPULATION
115 MISMATCH_HRZ_MRZ_DATA 116 SUPERIMPOSED_TEXT 118 MISMATCH_FRONT_BACK 200 NOT_READABLE_DOCUMENT 201 NO_DOCUMENT
202 SAMPLE_DOCUMENT 206 MISSING_BACK 207 WRONG_DOCUMENT_PAGE 208 NOTHING_SHOWN 209 MISSING_SIGNATURE
210 CAMERA_BLACK_WHITE 211 DIFFERENT_PERSONS_SHOWN 213 INVALID_WATERMARK 214 MISSING_FRONT 300 MANUAL_REJECTION
"""
_DETAILS = """
1001 PHOTO 1002 DOCUMENT_NUMBER 1003 EXPIRY 1004 DOB 1005 NAME 1006 ADDRESS 1007 SECURITY_CHECKS 1008 SIGNATURE
1009 PERSONAL_NUMBER 10011 PLACE_OF_BIRTH 2001 BLURRED 2002 BAD_QUALITY 2003 MISSING_PART_DOCUMENT
2004 HIDDEN_PART_DOCUMENT 2005 DAMAGED_DOCUMENT 2006 GLARE 2007 MISSING_MANDATORY_DATAPOINTS
"""
# Withdrawn, and its word is not on record.
_WORDLESS = {"205": ""}


def _table(words: str) -> dict[str, str]:
    pairs = iter(words.split())
    return dict(zip(pairs, pairs, strict=True))


REASONS: Mapping[str, str] = _table(_REASONS) | _WORDLESS
DETAILS: Mapping[str, str] = _table(_DETAILS)


def reject_reasons(reader: Reader, found: Object) -> tuple[Reason, ...]:
    """The same from an object, a list or nothing, with details that are an object, a list, empty or left out."""
    return tuple(_reason(reader, entry) for entry in reader.objects(found, "rejectReason") if entry)


def _reason(reader: Reader, entry: Object) -> Reason:
    code, label = _named(reader, entry, "rejectReasonCode", "rejectReasonDescription", REASONS)
    details = {
        Detail(*_named(reader, detail, "detailsCode", "detailsDescription", DETAILS))
        for detail in reader.objects(entry, "rejectReasonDetails")
    }
    return Reason(
        check="document",
        label=label or code or "NO_LABEL",
        code=code or None,
        # They come in any order.
        details=tuple(sorted((each for each in details if each.code or each.label), key=_place)),
    )


def _named(reader: Reader, entry: Object, code_in: str, word_in: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Code and word, each from the other where it was left out; a word that differs by case or blanks alone is one."""
    code, word = reader.word(entry, code_in) or "", reader.word(entry, word_in) or ""
    folded = "_".join(word.upper().split())
    if not code:
        code = next((each for each, name in known.items() if name == folded), "")
    if entry and code not in known:
        reader.note("unknown_word" if code else "no_word", code_in)
    name = known.get(code, "")
    return code, name if folded in {"", name} else word


def _place(detail: Detail) -> tuple[str, str]:
    return detail.code, detail.label
