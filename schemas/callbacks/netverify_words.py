"""Netverify's own words: the fields of its callback, and what the retrieval API calls them (both guides)."""

from collections.abc import Mapping

_FIELDS = """
callBackType jumioIdScanReference verificationStatus idScanStatus idScanSource idCheckDataPositions
idCheckDocumentValidation idCheckHologram idCheckMRZcode idCheckMicroprint idCheckSecurityFeatures idCheckSignature
transactionDate callbackDate identityVerification idType idSubtype idCountry rejectReason idScanImage
idScanImageBackside idScanImageFace facemap livenessImages idNumber idFirstName idLastName idDob originDob idExpiry
issuingDate expiryDateParts dateOfBirthParts issuingDateParts idUsState personalNumber idAddress
merchantIdScanReference merchantReportingCriteria customerId clientIp firstAttemptDate firstAttempt optionalData1
optionalData2 gender presetCountry presetIdType dlCarPermission dlCategories nationality dni curp cpf taxNumber
registrationNumber mothersName fathersName personalIdentificationNumber rgNumber voterIdNumber issuingNumber
passportNumber durationOfStay numberOfEntries visaCategory issuingAuthority issuingPlace placeOfBirth
residentPermitType residentPermitRemarks documentIdentificationNumber citizenship maritalStatus religion
lastNameAtBirth remarks disability additionalChecks idFaceMatch idFaceLiveness similarityScore similarityDecision
pesel laborIdentificationNumber
"""
_SUBTYPES = """
NATIONAL_ID CONSULAR_ID ELECTORAL_ID RESIDENT_PERMIT_ID TAX_ID STUDENT_ID PASSPORT_CARD_ID MILITARY_ID
PUBLIC_SAFETY_ID HEALTH_ID OTHER_ID VISA UNKNOWN REGULAR_DRIVING_LICENSE LEARNING_DRIVING_LICENSE E_PASSPORT
"""

FIELDS = tuple(_FIELDS.split())
TYPES = frozenset({"PASSPORT", "DRIVING_LICENSE", "ID_CARD", "VISA", "UNSUPPORTED"})
SUBTYPES = frozenset(_SUBTYPES.split())
# What the retrieval API calls the fields of the callback (retrieval guide); the rest has the same name, or no use here.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "document": {
        "status": "verificationStatus", "type": "idType", "subType": "idSubtype", "idSubtype": "idSubtype",
        "issuingCountry": "idCountry", "firstName": "idFirstName", "lastName": "idLastName", "dob": "idDob",
        "number": "idNumber", "issuingDate": "issuingDate", "expiry": "idExpiry", "usState": "idUsState",
    },
    "transaction": {
        "status": "idScanStatus", "date": "transactionDate", "customerId": "customerId",
        "merchantScanReference": "merchantIdScanReference",
    },
    "verification": {"mrzCheck": "idCheckMRZcode", "faceMatch": "idFaceMatch", "faceLiveness": "idFaceLiveness"},
}  # fmt: skip
