"""Netverify scans: the form that Jumio posts, and the documents that v2 serves (callback and retrieval guides)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from deploy.simulator.details import Json, stamp
from deploy.simulator.dice import dice
from deploy.simulator.legacy import HOSTS, LegacyTransaction, embedded, stamped
from deploy.simulator.legacy_outcomes import APPROVED, FamilyName, LegacyOutcome

_CHECKS = ("DataPositions", "DocumentValidation", "Hologram", "Microprint", "SecurityFeatures", "Signature")
# Whose law has the MRZ check masked away.
_MASKED = {"DEU", "HKG", "JPN", "NLD", "SGP", "KOR"}
# The data as workflow details name them, beside the names of the form and of v2; the others have one name everywhere.
_NAMES = {
    "type": ("idType", "type"),
    "subType": ("idSubtype", "idSubtype"),
    "issuingCountry": ("idCountry", "issuingCountry"),
    "firstName": ("idFirstName", "firstName"),
    "lastName": ("idLastName", "lastName"),
    "dateOfBirth": ("idDob", "dob"),
    "expiryDate": ("idExpiry", "expiry"),
    "documentNumber": ("idNumber", "number"),
    "state": ("idUsState", "usState"),
    "optionalMrzField1": ("optionalData1", "optionalData1"),
    "optionalMrzField2": ("optionalData2", "optionalData2"),
    "address": ("idAddress", "address"),
}
# Of the invented data these are not in the older generation's tables.
_UNKNOWN = {"currentAge", "pesel"}
# Of a document that was not good only these are known.
_OF_ANY = ("type", "issuingCountry")
# Spellings of one truth (retrieval guide).
_TRUE, _FALSE = (True, "true", "TRUE"), (False, "false", "FALSE")
_GO_NAMES = {"callBackType": "callbackType", "idCheckMRZcode": "idCheckMRZCode", "firstAttemptDate": "firstAttempt"}


@dataclass
class Scan(LegacyTransaction):
    """An ID verification: by a web page, by an app, by performNetverify (API), or by Jumio Go."""

    family: ClassVar[FamilyName] = "netverify"
    correctable: ClassVar[bool] = True

    @property
    def source(self) -> str:
        if self.outcome.status == "NO_ID_UPLOADED":
            return "WEB"
        return ("SDK", "WEB_CAM", "API", "WEB_UPLOAD", "REDIRECT_CAM")[self.variant("source", 5)]

    @property
    def images(self) -> Sequence[str]:
        """By the document, not by the result: a correction adds and removes none."""
        if not _has_images(self.outcome):
            return ()
        sides = ("front", "back") if self.subject.kind.two_sided else ("front",)
        face = ("face",) if self._has_face else ()
        liveness = (
            [f"liveness/{number}" for number in range(1, 2 + self.variant("liveness", 6))]
            if self.source == "SDK"
            else []
        )
        self.rng("liveness").shuffle(liveness)
        return (*sides, *face, *(liveness if face else ()))

    @property
    def has_facemap(self) -> bool:
        return self.source == "SDK" and "face" in self.images

    @property
    def downloads(self) -> int:
        return len(self.images) + self.has_facemap

    @property
    def _has_face(self) -> bool:
        """Without a person check there is none, whatever a correction says."""
        return self.outcome.name not in {"netverify.no_person_check", "netverify.fraud_without_details"}

    @property
    def _is_screened(self) -> bool:
        return self.outcome.is_listed or (self.variant("screened", 4) == 0 and bool(self._data(self.outcome)))

    def url(self, path: str) -> str:
        return f"{HOSTS[self.region][0]}/api/netverify/v2/scans/{self.key}/{path}"

    def fields(self, sent_at: datetime) -> list[tuple[str, str]]:
        found = {
            **self._frame(sent_at),
            **self._customer(),
            **{_NAMES.get(name, (name,))[0]: _text(value) for name, value in self._data(self.outcome).items()},
            **self._images_in_form(),
        }
        person = self._person(self.outcome, any_spelling=True)
        if person is not None:
            found["identityVerification"] = embedded(person)
        if self.outcome.reject:
            found["rejectReason"] = embedded(self._reject(self.outcome, blanks=True))
        if self._is_screened:
            found["additionalChecks"] = embedded(self._screening())
        go = self.source == "WEB_CAM"
        fields = [(_GO_NAMES.get(name, name) if go else name, value) for name, value in found.items()]
        return [*fields, *self._liveness_in_form()]

    def document(self, *, ready: bool = True) -> Json:
        frame = stamped(self.key)
        if not ready:
            return frame | {"transaction": {**self.transaction_part(), "status": "PENDING"}}
        facemap = {"facemap": {"classifier": "facemap", "href": self.url("data/facemap")}} if self.has_facemap else {}
        parts = {
            "document": self.document_part(),
            "transaction": self.transaction_part(),
            "verification": self.verification_part(),
        }
        return frame | parts | facemap

    def status_document(self) -> Json:
        return stamped(self.key) | {"status": self.transaction_part()["status"]}

    def document_part(self) -> Json:
        found = {_NAMES.get(name, ("", name))[1]: value for name, value in self._data(self.shown).items()}
        return {**found, "status": self.shown.status}

    def transaction_part(self) -> Json:
        """WEB-CAM is the table's spelling, WEB_UPLOAD the samples' (retrieval guide)."""
        updated = {"updatedAt": stamp(self.updated_at)} if self.updated_at else {}
        return {
            "clientIp": "198.51.100.23",
            "customerId": self.user_reference,
            "date": self.date(),
            "merchantScanReference": self.customer_reference,
            "source": self.source.replace("WEB_CAM", "WEB-CAM"),
            "status": "FAILED" if self.shown.status == "NO_ID_UPLOADED" else "DONE",
            **updated,
        }

    def verification_part(self) -> Json:
        person = self._person(self.shown, any_spelling=False)
        empty = {"identityVerification": None} if self.variant("empty", 3) == 0 else {}
        reject = {"rejectReason": self._reject(self.shown, blanks=False)} if self.shown.reject else {}
        return {
            **({"identityVerification": person} if person else empty),
            "mrzCheck": "OK" if self.shown.status == APPROVED else "NOT_AVAILABLE",
            **reject,
            **({"additionalChecks": self._screening()} if self._is_screened else {}),
        }

    def images_document(self) -> Json:
        """A list, or the one as it is (retrieval guide)."""
        plain = [{"classifier": each, "href": self.url(f"images/{each}")} for each in self._plain()]
        liveness = [self.url(f"images/{each}") for each in self.images if each.startswith("liveness")]
        return stamped(self.key) | {
            **({"images": plain[0] if len(plain) == 1 else plain[::-1]} if plain else {}),
            **({"livenessImages": liveness} if liveness else {}),
        }

    def _plain(self) -> list[str]:
        return [each for each in self.images if "/" not in each]

    def _frame(self, sent_at: datetime) -> dict[str, str]:
        approved = self.outcome.status == APPROVED
        mark = "OK" if approved else "N/A"
        masked = self.subject.kind.country in _MASKED
        return {
            "callBackType": "NETVERIFYID",
            "jumioIdScanReference": self.key,
            "verificationStatus": self.outcome.status,
            "idScanStatus": "SUCCESS" if approved else "ERROR",
            "idScanSource": self.source,
            **{f"idCheck{name}": mark for name in _CHECKS},
            **({} if masked else {"idCheckMRZcode": mark}),
            "transactionDate": self.date(),
            "callbackDate": stamp(sent_at, self.variant("digits", 4)),
            "merchantIdScanReference": self.customer_reference,
        }

    def _customer(self) -> dict[str, str]:
        found = {"customerId": self.user_reference, "firstAttemptDate": self.date(seconds=40)}
        if self.source != "API":
            found["clientIp"] = "198.51.100.23"
        return {} if self.outcome.status == "NO_ID_UPLOADED" else found

    def _data(self, outcome: LegacyOutcome) -> Json:
        """A fraud's data can be those of an approved document (recordings); of the others less is known."""
        data = {name: value for name, value in self.subject.data.items() if name not in _UNKNOWN}
        # Sic in the newer generation only (retrieval guide).
        data["subType"] = "UNKNOWN" if data["subType"] == "UNKOWN" else data["subType"]
        if outcome.status in {APPROVED, "DENIED_FRAUD"}:
            return data
        known = () if outcome.status == "NO_ID_UPLOADED" else _OF_ANY
        return {name: data[name] for name in known}

    def _person(self, outcome: LegacyOutcome, *, any_spelling: bool) -> Json | None:
        """An empty one stands for no check too; after a correction it stays, with VALID as its reason (H)."""
        if outcome.person is None:
            checked = outcome.name == "netverify.fraud_details_object"
            kept = {"reason": "VALID", "similarity": "MATCH", "validity": "true"} if checked else None
            empty = any_spelling and outcome.status == APPROVED and self.variant("empty", 3) == 0
            return {} if empty else kept
        similarity, valid, reason = outcome.person
        spellings = (_TRUE if valid else _FALSE) if any_spelling else ("true",) if valid else ("false",)
        validity = self.rng("validity", outcome.name).choice(spellings)
        return {"similarity": similarity, "validity": validity, **({"reason": reason} if not valid else {})}

    def _reject(self, outcome: LegacyOutcome, *, blanks: bool) -> Json:
        """One detail is an object, several are a list; the form's sample has stray blanks in them."""
        code, description = outcome.reject or ("", "")
        found: Json = {"rejectReasonCode": code, "rejectReasonDescription": description}
        if outcome.details is None:
            return found
        stray = " " if blanks and len(outcome.details) > 1 else ""
        details = [
            {"detailsCode": f"{stray}{code}", "detailsDescription": f"{stray}{label}"}
            for code, label in outcome.details
        ]
        return found | {"rejectReasonDetails": details[0] if len(details) == 1 else details}

    def _screening(self) -> Json:
        """Numbers as text, and a search date without regard to zones, as published."""
        hits = 2 if self.outcome.is_listed else 0
        return {
            "watchlistScreening": {
                "searchStatus": "DONE",
                "searchDate": self.date(seconds=3900),
                "searchId": f"{dice('search', self.key).randrange(10**8)}",
                "searchReference": f"1768205086-{self.key[:8]}",
                "searchResultUrl": f"https://app.example-screening.test/public/search/{self.key[:8]}",
                "searchResults": str(hits) if self.variant("as text", 2) else hits,
            }
        }

    def _images_in_form(self) -> dict[str, str]:
        names = {"front": "idScanImage", "back": "idScanImageBackside", "face": "idScanImageFace"}
        root = f"{HOSTS[self.region][0]}/recognition/v1/idscan/{self.key}"
        found = {names[each]: f"{root}/{each}" for each in self._plain()}
        return found | ({"facemap": self.url("data/facemap")} if self.has_facemap else {})

    def _liveness_in_form(self) -> list[tuple[str, str]]:
        """One field with a JSON array, or the field again and again (R:ostelco)."""
        urls = [self.url(f"images/{each}") for each in self.images if each.startswith("liveness")]
        if not urls:
            return []
        again = self.rng("repeated").random() < 1 / 2
        return [("livenessImages", url) for url in urls] if again else [("livenessImages", embedded(urls))]


def _has_images(outcome: LegacyOutcome) -> bool:
    return outcome.status in {APPROVED, "DENIED_FRAUD"} or outcome.name == "netverify.blurred"


def _text(value: object) -> str:
    return value if isinstance(value, str) else embedded(value)
