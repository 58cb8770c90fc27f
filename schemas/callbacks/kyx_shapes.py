"""The members and the open vocabularies of KYX documents (KYX guide): unknown ones are only noted."""

from schemas.callbacks.legacy_shapes import GENDERS
from schemas.callbacks.shape import ANY, Shape, shape, words

_ACCOUNT = shape("id href")
CALLBACK = shape(
    "callbackSentAt userReference", workflowExecution=shape("id href definitionKey status"), account=_ACCOUNT
)
STATUS = shape("timestamp", workflowExecution=shape("id href definitionKey status"), account=_ACCOUNT)

_DECISION = shape("type", details=shape("label"), risk=shape("score"))
_REFERENCE = shape("id category categrory")
_DATE_PARTS = shape("year month day")
_EXTRACTED = shape(
    """
    type subType issuingCountry firstName lastName dateOfBirth expiryDate issuingDate documentNumber state
    personalNumber optionalMrzField1 optionalMrzField2 issuingAuthority issuingPlace curp nationality
    placeOfBirth taxNumber cpf
    registrationNumber mothersName fathersName personalIdentificationNumber rgNumber voterIdNumber issuingNumber
    passportNumber durationOfStay numberOfEntries visaCategory dni pesel laborIdentificationNumber documentCopy
    residentPermitType residentPermitRemarks documentIdentificationNumber citizenship maritalStatus religion currentAge
    lastNameAtBirth remarks
    """,
    gender=GENDERS,
    disability=words("YES NO"),
    address=shape("line1 line2 line3 line4 line5 country postalCode subdivision city formattedAddress"),
    dlCategories=shape("category issueDate expiryDate isReadable availability"),
    expiryDateParts=_DATE_PARTS,
    dateOfBirthParts=_DATE_PARTS,
    issuingDateParts=_DATE_PARTS,
)
_SEARCHED = words("DONE SUCCESS NOT_DONE PENDING ERROR")
_METHODS = words("IPROOV_STANDARD IPROOV_PREMIUM JUMIO_STANDARD")
_SEARCH = shape("searchDate searchId searchReference searchResultUrl searchResults", searchStatus=_SEARCHED)
# What is beside the decision; a capability that is not here is known to bring nothing of its own.
_DATA: dict[str, Shape] = {
    "liveness": shape("predictedAge ageConfidenceRange validFaceMapForAuthentication", type=_METHODS),
    "similarity": shape("", similarity=words("MATCH NO_MATCH NOT_MATCH NOT_POSSIBLE")),
    "authentication": shape("validFaceMapForAuthentication", type=_METHODS),
    "imageChecks": shape("", faceSearchFindings=shape("findings", status=_SEARCHED)),
    "extraction": _EXTRACTED,
    "watchlistScreening": _SEARCH,
}

_NOT_DONE = "PRECONDITION_NOT_FULFILLED TECHNICAL_ERROR"
_CONFIRMED = f"{_NOT_DONE} OK DENY ALERT NOT_ENOUGH_DATA UNSUPPORTED_COUNTRY UNSUPPORTED_STATE VALIDATION_FAILED"
# KYX guide, all types of a capability together.
LABELS = {
    capability: frozenset(labels.split())
    for capability, labels in {
        "usability": """
            TECHNICAL_ERROR NOT_UPLOADED OK BAD_QUALITY BLURRED BAD_QUALITY_IMAGE PART_OF_DOCUMENT_MISSING
            PART_OF_DOCUMENT_HIDDEN DAMAGED_DOCUMENT GLARE MISSING_MANDATORY_DATAPOINTS BLACK_WHITE MISSING_PAGE
            MISSING_SIGNATURE NOT_A_DOCUMENT PHOTOCOPY DOCUMENT_EXPIRY_WITHIN_CONFIGURED_LIMIT LIVENESS_UNDETERMINED
            UNSUPPORTED_COUNTRY UNSUPPORTED_DOCUMENT_TYPE
            """,
        "liveness": f"""
            {_NOT_DONE} OK LIVENESS_UNDETERMINED ID_USED_AS_SELFIE MULTIPLE_PEOPLE DIGITAL_COPY PHOTOCOPY MANIPULATED
            NO_FACE_PRESENT FACE_NOT_FULLY_VISIBLE BLACK_WHITE AGE_DIFFERENCE BAD_QUALITY
            """,
        "similarity": f"{_NOT_DONE} MATCH NO_MATCH NOT_MATCH NOT_POSSIBLE",
        "authentication": f"{_NOT_DONE} OK FAILED",
        "imageChecks": f"""
            {_NOT_DONE} OK DIGITAL_COPY WATERMARK MANIPULATED_DOCUMENT MANIPULATED_DOCUMENT_PHOTO
            MANIPULATED_DOCUMENT_EXPIRY MANIPULATED_DOCUMENT_NAME MANIPULATED_DOCUMENT_ADDRESS
            MANIPULATED_DOCUMENT_SECURITY_CHECKS MANIPULATED_DOCUMENT_SIGNATURE MANIPULATED_DOCUMENT_PERSONAL_NUMBER
            MANIPULATED_DOCUMENT_PLACE_OF_BIRTH MANIPULATED_DOCUMENT_GENDER MANIPULATED_DOCUMENT_ISSUING_DATE
            MANIPULATED_DOCUMENT_DOCUMENT_NUMBER MANIPULATED_DOCUMENT_DOB OTHER_REJECTION GHOST_IMAGE_DIFFERENT PUNCHED
            SAMPLE FAKE CHIP_MISSING DIGITAL_MANIPULATION MISMATCH_FRONT_BACK FAILED DIFFERENT_PERSON REPEATED_FACE
            """,
        "extraction": f"{_NOT_DONE} OK",
        "dataChecks": f"""
            {_NOT_DONE} OK NFC_CERTIFICATE MISMATCHING_DATAPOINTS MRZ_CHECKSUM MISMATCHING_DATA_REPEATED_FACE
            MISMATCH_HRZ_MRZ_DATA HIGH_FRAUD_RISK CUSTOMER_FEEDBACK ID_DATA_MISMATCH LOOKUPS_HIGH_RISK_SAME_DATA
            DOCUMENT_EXPIRY_WITHIN_CONFIGURED_LIMIT LOOKUPS_MEDIUM_RISK_IP_ADDRESS LOOKUPS_MEDIUM_RISK_DEVICE
            """,
        "watchlistScreening": f"""
            {_NOT_DONE} OK ALERT NOT_ENOUGH_DATA VALIDATION_FAILED INVALID_MERCHANT_SETTINGS EXTRACTION_NOT_DONE
            NO_VALID_ID_CREDENTIAL
            """,
        "addressValidation": _CONFIRMED,
        "proofOfResidency": _CONFIRMED,
        "drivingLicenseVerification": _CONFIRMED,
        "braCpfValidation": f"{_CONFIRMED} INVALID_MERCHANT_SETTINGS",
        "biometricVerification": f"{_NOT_DONE} LOW_RISK MEDIUM_RISK HIGH_RISK PERMISSION_DENIED BAD_REQUEST",
    }.items()
}
DECISION_LABELS = frozenset(
    {"NOT_EXECUTED", "PASSED", "REJECTED", "WARNING", "TECHNICAL_ERROR", "SESSION_EXPIRED", "TOKEN_EXPIRED", "OK"}
)
# Beside PASSED they say the opposite, of whatever they are said.
NEVER_PASSED = DECISION_LABELS - {"PASSED", "OK"} | {"PRECONDITION_NOT_FULFILLED", "NO_MATCH", "NOT_MATCH", "DENY"}
STEPS = frozenset({"ADDRESS_VERIFICATION", "DL_VERIFICATION", "ID_IV", "SCREENING"})
CATEGORIES = frozenset({"ID", "SELFIE", "FACEMAP", "DOCUMENT", "DATA"})
CLASSIFIERS = frozenset({"FRONT", "BACK", "FACE", "FACEMAP", "PREPARED_DATA", *(f"LIVENESS_{n}" for n in range(1, 10))})


def _entry(data: Shape) -> Shape:
    return shape("id validFaceMapForAuthentication", credentials=_REFERENCE, decision=_DECISION, data=data)


DETAILS = shape(
    "createdAt startedAt completedAt timestamp wipedOutAt captureClient",
    account=_ACCOUNT,
    workflow=shape(
        """
        id href status definitionKey userReference customerInternalReference originalDefinitionKey reportingCriteria
        childIds parentId
        """
    ),
    decision=_DECISION,
    steps=shape("href"),
    credentials=shape(
        "id category categrory label clientIp",
        parts=shape("classifier href captureType"),
        reusableIdentity=shape("status source"),
        consent=shape("decisionAccepted collectedBy"),
    ),
    capabilities={name: _entry(_DATA.get(name, {})) for name in LABELS} | {ANY: _entry({ANY: None})},
    feedback=shape("status reason"),
)
GROUPS = shape("", steps=shape("id name capabilityIds", decision=_DECISION))
