"""Authentications: their callbacks, and what v2 says of them (authentication and retrieval guides)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from starlette.requests import Request
from starlette.routing import Route

from deploy.simulator.details import Json, stamp
from deploy.simulator.dice import identifier
from deploy.simulator.images import Drawing, draw
from deploy.simulator.legacy import HOSTS, LegacyTransaction, embedded
from deploy.simulator.legacy_outcomes import FamilyName
from deploy.simulator.v2 import V2
from deploy.simulator.world import World


@dataclass
class Authentication(LegacyTransaction):
    """A user who was enrolled before shows the face again."""

    family: ClassVar[FamilyName] = "authentication"

    @property
    def source(self) -> str:
        return ("SDK", "WEB")[self.variant("source", 2)]

    @property
    def images(self) -> Sequence[str]:
        if self.outcome.status == "EXPIRED":
            return ()
        numbers = list(range(1, 3 + self.variant("liveness", 5)))
        self.rng("liveness").shuffle(numbers)
        return ("face", *(f"liveness/{number}" for number in numbers)) if self.source == "SDK" else ("face",)

    def fields(self, sent_at: datetime) -> list[tuple[str, str]]:
        found = {
            "callBackType": "NETVERIFY_AUTHENTICATION",
            **self._ids(),
            "transactionResult": self.outcome.status,
            "transactionDate": self.date(),
            "callbackDate": stamp(sent_at, self.variant("digits", 4)),
            "scanSource": self.source,
        }
        if self.variant("named", 3):
            found["userReference"] = self.user_reference
        if self.images:
            found["idScanImageFace"] = self._url("face")
        if len(self.images) > 1:
            found["livenessImages"] = embedded([self._url(each) for each in self.images[1:]])
        return list(found.items())

    def document(self, *, ready: bool = True) -> Json:
        """Without a timestamp of its own, and its date without a zone (A.7)."""
        frame = {
            **self._ids(),
            "transactionResult": self.shown.status if ready else ("STARTED", "CREATED")[self.variant("early", 2)],
            "scanSource": self.source,
            "transactionDate": stamp(self.opened_at).removesuffix("Z"),
        }
        if not ready or not self.images:
            return frame
        face = {"classifier": "face", "href": self._url("face")}
        liveness = [self._url(each) for each in self.images[1:]]
        return {
            **frame,
            **({"userReference": self.user_reference} if self.variant("named", 3) else {}),
            "images": face if self.variant("one", 2) else [face],
            **({"livenessImages": liveness} if liveness else {}),
        }

    def _ids(self) -> dict[str, str]:
        enrolled = identifier(self.seed, "netverify", self.index, "reference")
        return {"transactionReference": self.key, "enrollmentTransactionReference": enrolled}

    def _url(self, image: str) -> str:
        return f"{HOSTS[self.region][0]}/api/netverify/v2/authentications/{self.key}/images/{image}"


def routes(world: World) -> list[Route]:
    authentications = V2(world, "/authentications", Authentication)
    return [
        authentications.get("", "legacy_data", lambda found, _: found.document()),
        authentications.get("/images/{classifier:path}", "legacy_image", _image),
        authentications.delete(),
    ]


def _image(authentication: Authentication, request: Request) -> Drawing | None:
    classifier = request.path_params["classifier"]
    if classifier not in authentication.images:
        return None
    return draw(authentication.key, classifier.replace("/", "_").upper())
