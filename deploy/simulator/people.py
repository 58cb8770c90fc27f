"""Invented people and their documents: nobody can have these names, and no number is in use."""

from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

FIRST_NAMES = (
    "TESTINA",
    "MOCKBERT",
    "SPECIMENA ROSE",
    "FAUXELINE",
    "DEMETRIO DEMO",
    "PRØVEDIS",
    "ŻANETA FIKCJA",
    "见本",
)
LAST_NAMES = (
    "PLACEHOLDER",
    "MUSTERWESEN",
    "O'DUMMY-TRIAL",
    "NOTREAL",
    "INVENTEDSSON",
    "EJEMPLO Y FICCIÓN",
    "N/A",
    "ŠPATNÝ-VZOR",
)
# The year in which a person's age is right; documents do not age with the machine's clock.
THIS_YEAR = 2026


@dataclass(frozen=True)
class Kind:
    """A document type as one country issues it; `extra` are the members that only it has."""

    country: str
    type: str
    sub_type: str
    city: str
    authority: str
    two_sided: bool = True
    has_address: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


_LICENCE = [{"category": "B", "issueDate": "2006-08-01", "expiryDate": "2031-04-30"}, {"category": "AM"}]
_PERMIT = {"residentPermitType": "INVESTOR", "residentPermitRemarks": "NO PUBLIC FUNDS"}
_VISA = {"visaCategory": "TOURIST", "numberOfEntries": "MULTIPLE", "durationOfStay": "90", "passportNumber": "X0000000"}

KINDS = (
    Kind(
        *("GBR", "DRIVING_LICENSE", "REGULAR_DRIVING_LICENSE", "FICTON-ON-SEA", "DVLA"),
        has_address=True,
        extra={"state": "England", "dlCategories": _LICENCE, **_PERMIT, "documentIdentificationNumber": "0099"},
    ),
    Kind(
        *("USA", "DRIVING_LICENSE", "LEARNING_DRIVING_LICENSE", "NOWHERE SPRINGS", "DMV"),
        has_address=True,
        extra={"state": "CA", "remarks": "CORRECTIVE LENSES"},
    ),
    Kind("FRA", "PASSPORT", "E_PASSPORT", "IMAGINAIRE-SUR-MER", "PREFECTURE", two_sided=False),
    Kind("JPN", "PASSPORT", "E_PASSPORT", "KAKUU-SHI", "MOFA", two_sided=False, extra={"lastNameAtBirth": "MIHON"}),
    Kind("DEU", "ID_CARD", "NATIONAL_ID", "MUSTERHAUSEN", "STADT MUSTERHAUSEN", has_address=True),
    Kind(
        "BRA", "ID_CARD", "NATIONAL_ID", "CIDADE FICTICIA", "SSP", extra={"cpf": "00000000000", "rgNumber": "000000000"}
    ),
    Kind("POL", "ID_CARD", "NATIONAL_ID", "NIEMIASTO", "PREZYDENT", extra={"pesel": "00000000000"}),
    Kind(
        *("MEX", "ID_CARD", "ELECTORAL_ID", "CIUDAD FICTICIA", "INE"),
        has_address=True,
        extra={"curp": "XXXX000000XXXXXX00", "voterIdNumber": "XXXXXX00000000X000"},
    ),
    Kind("ESP", "ID_CARD", "RESIDENT_PERMIT_ID", "VILLAFALSA", "DGP", extra={"dni": "00000000T", **_PERMIT}),
    Kind("IND", "VISA", "UNKNOWN", "KALPANAPUR", "HCI", two_sided=False, extra=_VISA),
    # Sic: the spelling is Jumio's (KYX guide).
    Kind("AUT", "ID_CARD", "UNKOWN", "ERFUNDEN AM SEE", "BH", extra={"citizenship": "AUT"}),
)


@dataclass(frozen=True)
class Subject:
    """One invented person, holding one invented document."""

    kind: Kind
    data: dict[str, Any]
    age: int


def invent(rng: Random) -> Subject:
    kind = rng.choice(KINDS)
    born = date(rng.randint(1950, 2005), rng.randint(1, 12), rng.randint(1, 28))
    issued = date(rng.randint(2017, 2025), rng.randint(1, 12), rng.randint(1, 28))
    expires = issued.replace(year=issued.year + 10)
    age = THIS_YEAR - born.year
    data: dict[str, Any] = {
        "type": kind.type,
        "subType": kind.sub_type,
        "issuingCountry": kind.country,
        "firstName": rng.choice(FIRST_NAMES),
        "lastName": rng.choice(LAST_NAMES),
        "dateOfBirth": born.isoformat(),
        "expiryDate": expires.isoformat(),
        "issuingDate": issued.isoformat(),
        "documentNumber": f"SPECIMEN{rng.randrange(10**8):08d}",
        "personalNumber": "<<<<<<<<<<<<<<",
        "optionalMrzField1": f"Z{rng.randrange(100):02d}",
        "optionalMrzField2": f"{rng.randrange(10**8):08d}",
        "issuingAuthority": kind.authority,
        "issuingPlace": kind.city,
        "gender": rng.choice("MFX"),
        "nationality": kind.country,
        "placeOfBirth": kind.city,
        **kind.extra,
    }
    if kind.has_address:
        data["address"] = _address(kind, rng)
    data |= {
        "expiryDateParts": _parts(expires),
        "dateOfBirthParts": _parts(born),
        "issuingDateParts": {"year": f"{issued.year}", "month": f"{issued.month:02d}"},
        # An integer by Jumio's table and a string in its example (KYX guide): both are sent.
        "currentAge": rng.choice((age, str(age))),
    }
    return Subject(kind, data, age)


def _parts(day: date) -> dict[str, str]:
    return {"year": f"{day.year}", "month": f"{day.month:02d}", "day": f"{day.day:02d}"}


def _address(kind: Kind, rng: Random) -> dict[str, str]:
    line, postal = f"{rng.randint(1, 99)} INVENTED LANE", f"{rng.randrange(10**5):05d}"
    return {
        "line1": line,
        "line2": f"FLAT {rng.randint(1, 9)}",
        "line3": "",
        "city": kind.city,
        "subdivision": "FICTSHIRE",
        "postalCode": postal,
        "country": kind.country,
        "formattedAddress": f"{line}, {kind.city}, {postal}, {kind.country}",
    }
