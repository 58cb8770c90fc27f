"""Document Verification: callbacks without a type, pages, and the original as PDF (document and retrieval guides)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.simulator.breakage import problem
from deploy.simulator.details import Json, stamp
from deploy.simulator.images import Drawing, draw, write_pdf
from deploy.simulator.legacy import HOSTS, LegacyTransaction, embedded, stamped
from deploy.simulator.legacy_outcomes import FamilyName, LegacyOutcome
from deploy.simulator.v2 import V2
from deploy.simulator.world import World

# retrieval guide: the masked side of a credit card.
CARD_PAGE = 101
_TYPES = ("BS", "UB", "SSC", "CB", "CUSTOM")


@dataclass
class Document(LegacyTransaction):
    """A paper of any kind: statements, bills, cards."""

    family: ClassVar[FamilyName] = "document"

    @property
    def kind(self) -> str:
        return "CC" if self.outcome.name == "document.credit_card" else _TYPES[self.variant("type", len(_TYPES))]

    @property
    def has_original(self) -> bool:
        """A paper that was uploaded as PDF; a card is photographed."""
        return self.kind in {"BS", "UB"} and self.status != "FAILED"

    @property
    def images(self) -> Sequence[str]:
        if self.status == "FAILED":
            return ()
        pages = (CARD_PAGE,) if self.kind == "CC" else range(1, 2 + self.variant("pages", 3))
        return (*(f"pages/{page}" for page in pages), *(("original",) if self.has_original else ()))

    @property
    def pages(self) -> list[str]:
        return [each for each in self.images if each != "original"]

    def fields(self, sent_at: datetime) -> list[tuple[str, str]]:
        found = {
            "scanReference": self.key,
            "timestamp": stamp(sent_at, self.variant("digits", 4)),
            "transaction": embedded({"date": self.date(), **self.transaction_part(self.outcome)}),
        }
        if self.pages:
            images = [self.url(each) for each in self.pages]
            several = images if len(images) > 1 or self.variant("one", 2) else images[0]
            found["document"] = embedded({**self._paper(self.outcome), "images": several, **self._told()})
        return list(found.items())

    def document(self, *, ready: bool = True) -> Json:
        frame = stamped(self.key)
        transaction = self.transaction_part(self.shown)
        if not ready:
            return frame | {"transaction": {**transaction, "status": "PENDING"}}
        return frame | {**({"document": self.document_part()} if self.pages else {}), "transaction": transaction}

    def status_document(self) -> Json:
        return stamped(self.key) | {"status": self.transaction_part(self.shown)["status"]}

    def document_part(self) -> Json:
        """What was read stands in it twice, the second time as text (retrieval guide)."""
        found = self._paper(self.shown)
        if not self.shown.status.endswith("EXTRACTED"):
            return found
        read = self._read(card_expiry="expiryDate")
        outer = {"firstName": read["firstName"], "signatureAvailable": False, "extractedData": embedded(read)}
        return found | {"extractedData": outer}

    def transaction_part(self, outcome: LegacyOutcome) -> Json:
        return {
            "status": outcome.status.partition("/")[0],
            "source": ("DOC_UPLOAD", "DOC_API", "DOC_SDK")[self.variant("source", 3)],
            "merchantScanReference": self.customer_reference,
            "customerId": self.user_reference,
            **({"merchantReportingCriteria": "poa"} if self.variant("criteria", 2) else {}),
            **({"clientIp": "203.0.113.9"} if self.variant("address", 3) else {}),
        }

    def pages_document(self) -> Json:
        """A classifier is a number, or its text."""
        listed = [
            {"classifier": number if place % 2 == 0 else str(number), "href": self.url(f"pages/{number}")}
            for place, number in enumerate(int(each.removeprefix("pages/")) for each in self.pages)
        ]
        return stamped(self.key) | {"images": listed if len(listed) > 1 or self.variant("one", 2) else listed[0]}

    def url(self, path: str) -> str:
        return f"{HOSTS[self.region][1]}/api/netverify/v2/documents/{self.key}/{path}"

    def _paper(self, outcome: LegacyOutcome) -> Json:
        return {
            "status": outcome.status.partition("/")[2],
            "type": self.kind,
            "country": self.subject.kind.country,
            **({"customDocumentCode": "SPECIMEN"} if self.kind == "CUSTOM" else {}),
            **({"originalDocument": self.url("original")} if self.has_original else {}),
        }

    def _told(self) -> Json:
        """A card's expiry comes as its issue date (A.5, 2022)."""
        if not self.outcome.status.endswith("EXTRACTED"):
            return {}
        read = self._read(card_expiry="issueDate")
        return {"extractedData": {"name": read.pop("firstName"), **read}}

    def _read(self, *, card_expiry: str) -> Json:
        data = self.subject.data
        name = f"{data['firstName']} {data['lastName']}"
        if self.kind == "CC":
            return {"firstName": name, "pan": "XXXXXXXXXXXX1234", card_expiry: "09/28"}
        number = f"{self.rng('account').randrange(10**12):012d}"
        return {"firstName": name, "accountNumber": number, "issueDate": data["issuingDate"], "swiftCode": "EXMPUS33"}


def routes(world: World) -> list[Route]:
    documents = V2(world, "/documents", Document)
    return [
        documents.get("", "legacy_status", lambda found, _: found.status_document()),
        documents.get("/data", "legacy_data", lambda found, _: found.document()),
        documents.get("/data/{part}", "legacy_data", _part),
        documents.get("/pages", "legacy_images", lambda found, _: found.pages_document() if found.pages else None),
        documents.get("/pages/{number}", "legacy_image", _page),
        documents.get("/original", "legacy_image", _original),
        documents.delete(),
    ]


def _part(found: Document, request: Request) -> Json | None:
    if request.path_params["part"] == "transaction":
        return found.transaction_part(found.shown) | stamped(found.key)
    if request.path_params["part"] == "document" and found.pages:
        return found.document_part() | stamped(found.key)
    return None


def _page(found: Document, request: Request) -> Response | Drawing | None:
    """Unmasked cards are for those whom Jumio has allowed them (PCI)."""
    page = f"pages/{request.path_params['number']}"
    if page not in found.pages:
        return None
    if request.query_params.get("maskhint") == "unmasked":
        return problem(403)
    return draw(found.key, page.replace("pages/", "PAGE_"))


def _original(found: Document, _request: Request) -> Drawing | None:
    return write_pdf(found.key) if found.has_original else None
