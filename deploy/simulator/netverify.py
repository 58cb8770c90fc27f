"""The retrieval API v2 of Netverify scans (retrieval guide)."""

from starlette.requests import Request
from starlette.routing import Route

from deploy.simulator.details import Json
from deploy.simulator.images import Drawing, draw, scribble
from deploy.simulator.legacy import stamped
from deploy.simulator.scans import Scan
from deploy.simulator.v2 import V2
from deploy.simulator.world import World


def routes(world: World) -> list[Route]:
    scans = V2(world, "/scans", Scan)
    callback_urls = V2(world, "/idscan", Scan)
    return [
        scans.get("", "legacy_status", lambda scan, _: scan.status_document()),
        scans.get("/data", "legacy_data", lambda scan, _: scan.document()),
        scans.get("/data/facemap", "legacy_image", _facemap),
        scans.get("/data/{part}", "legacy_data", _part),
        scans.get("/images", "legacy_images", lambda scan, _: scan.images_document()),
        scans.get("/images/{classifier:path}", "legacy_image", _image),
        # As callbacks spell the addresses of images.
        callback_urls.get("/{classifier}", "legacy_image", _image, prefix="/recognition/v1"),
        scans.delete(),
    ]


def _part(scan: Scan, request: Request) -> Json | None:
    """Its members lie beside the timestamp, not within a member of their own."""
    parts = {
        "document": scan.document_part,
        "transaction": scan.transaction_part,
        "verification": scan.verification_part,
    }
    part = parts.get(request.path_params["part"])
    return part() | stamped(scan.key) if part else None


def _image(scan: Scan, request: Request) -> Drawing | None:
    classifier = request.path_params["classifier"]
    if classifier not in scan.images:
        return None
    return draw(scan.key, classifier.replace("/", "_").upper())


def _facemap(scan: Scan, _request: Request) -> Drawing | None:
    return scribble(scan.key) if scan.has_facemap else None
