"""The members of what the older generations post and serve (Jumio's guides)."""

from collections.abc import Mapping

from schemas.callbacks.shape import ANY, Shape, shape, words

GENDERS = words("M F X")
_YES_NO = words("YES NO NOT_READABLE")
_SOURCES = words("WEB WEB_CAM WEB_UPLOAD API SDK REDIRECT REDIRECT_CAM REDIRECT_UPLOAD")
_PAPER_SOURCES = words("DOC_UPLOAD DOC_API DOC_SDK")
SEARCHES = ("addressValidation", "proofOfResidency", "personalNumberValidation")
_ADDRESS = shape(
    """
    line1 line2 line3 line4 line5 country countryCode postalCode city subdivision formattedAddress stateCode streetName
    streetSuffix streetDirection streetNumber unitDesignator unitNumber zip zipExtension province unitDetails
    """
)
_DATE_PARTS = shape("year month day")
_IDENTITY_VERIFICATION = shape("similarity validity reason similarityScore similarityDecision")
_REJECT_REASON = shape(
    "rejectReasonCode rejectReasonDescription", rejectReasonDetails=shape("detailsCode detailsDescription")
)
_ANSWER = """
    searchStatus searchId searchReference searchResults searchResultUrl searchResultsLink searchDate searchResponse
    searchReason status findings
"""
# By name of the check; an unknown one is looked at all the same.
_ADDITIONAL_CHECKS = dict.fromkeys((*SEARCHES, "watchlistScreening", "faceSearchFindings", ANY), shape(_ANSWER))
_DL_CATEGORIES = shape("category issueDate expiryDate isReadable availability")

# JSON in the fields of a Netverify callback.
EMBEDDED: Mapping[str, Shape | frozenset[str]] = {
    "identityVerification": _IDENTITY_VERIFICATION,
    "rejectReason": _REJECT_REASON,
    "additionalChecks": _ADDITIONAL_CHECKS,
    "idAddress": _ADDRESS,
    "dlCategories": _DL_CATEGORIES,
    "expiryDateParts": _DATE_PARTS,
    "dateOfBirthParts": _DATE_PARTS,
    "issuingDateParts": _DATE_PARTS,
    # Words, which are as open as Jumio likes.
    "gender": GENDERS,
    "idScanSource": _SOURCES,
    "dlCarPermission": _YES_NO,
    "disability": _YES_NO,
    "presetIdType": words("PASSPORT DRIVING_LICENSE ID_CARD VISA"),
}

IMAGE = shape("classifier href")
STATUS = shape("timestamp scanReference status")
SCAN = {
    "status": STATUS,
    "data": shape(
        "timestamp scanReference similarityDecision",
        identityVerification=_IDENTITY_VERIFICATION,
        rejectReason=_REJECT_REASON,
        additionalChecks=_ADDITIONAL_CHECKS,
        document=shape(
            """
            status type subType idSubtype issuingCountry firstName lastName dob originDob number expiry issuingDate
            usState personalNumber optionalData1 optionalData2 nationality dni curp cpf taxNumber
            registrationNumber mothersName fathersName personalIdentificationNumber rgNumber voterIdNumber issuingNumber
            passportNumber durationOfStay numberOfEntries visaCategory issuingAuthority issuingPlace placeOfBirth
            residentPermitType residentPermitRemarks documentIdentificationNumber citizenship maritalStatus religion
            lastNameAtBirth remarks presetCountry presetIdType pesel laborIdentificationNumber
            """,
            address=_ADDRESS,
            idAddress=_ADDRESS,
            dlCategories=_DL_CATEGORIES,
            expiryDateParts=_DATE_PARTS,
            dateOfBirthParts=_DATE_PARTS,
            issuingDateParts=_DATE_PARTS,
            gender=GENDERS,
            dlCarPermission=_YES_NO,
            disability=_YES_NO,
        ),
        transaction=shape(
            """
            status date updatedAt clientIp customerId merchantScanReference merchantReportingCriteria
            firstAttemptDate
            """,
            source=_SOURCES,
        ),
        verification=shape(
            """
            mrzCheck documentValidation dataPositions hologram microprint securityFeatures signature faceMatch
            faceLiveness similarityDecision
            """,
            identityVerification=_IDENTITY_VERIFICATION,
            rejectReason=_REJECT_REASON,
            additionalChecks=_ADDITIONAL_CHECKS,
        ),
        facemap=IMAGE,
    ),
    "images": shape("timestamp scanReference", images=IMAGE, livenessImages=IMAGE),
}

AUTHENTICATION = shape(
    """
    timestamp updatedAt callBackType transactionReference enrollmentTransactionReference transactionResult
    transactionDate callbackDate userReference
    """,
    scanSource=_SOURCES,
    identityVerification=_IDENTITY_VERIFICATION,
    idScanImageFace=IMAGE,
    images=IMAGE,
    livenessImages=IMAGE,
)

EMBEDDED_AUTHENTICATION: Mapping[str, Shape | frozenset[str]] = {
    "identityVerification": _IDENTITY_VERIFICATION,
    "scanSource": _SOURCES,
}

_EXTRACTED = """
    firstName lastName name accountNumber pan issueDate expiryDate ssn signatureAvailable swiftCode dueDate
    cardNumberLastFourDigits dateOfBirth
"""
# Inside of the retrieval API's text the address is not an object of its own.
EXTRACTED = shape(
    f"{_EXTRACTED} addressFormat line1 line2 countryCode postalCode city subdivision signaturePresent", address=_ADDRESS
)
_DOCUMENT = shape(
    "status country type customDocumentCode",
    images=IMAGE,
    originalDocument=IMAGE,
    extractedData=shape(_EXTRACTED, address=_ADDRESS, extractedData=EXTRACTED),
)
_TRANSACTION = shape(
    "date status merchantScanReference customerId merchantReportingCriteria clientIp updatedAt", source=_PAPER_SOURCES
)
# JSON in the fields of a Document Verification callback.
EMBEDDED_DOCUMENT = {"transaction": _TRANSACTION, "document": _DOCUMENT}
DOCUMENT = {
    "status": STATUS,
    "data": shape("timestamp scanReference status", document=_DOCUMENT, transaction=_TRANSACTION, images=IMAGE),
    "pages": shape("timestamp scanReference", images=IMAGE),
}
