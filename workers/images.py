"""wanted -> stored: downloads one image, tells what it is from its bytes, encrypts and keeps it. Never decodes it."""

import hashlib
from uuid import UUID

import structlog
from psycopg import Connection

from schemas.callbacks.recognise import LEGACY
from schemas.events.data import event_data
from workers import store
from workers.emit import Outlet, emit
from workers.errors import JumioAnswerError, JumioNotFoundError, TooLargeError, WithheldError
from workers.tenants import tenant_of
from workers.tools import Tools
from workers.vault.blob import seal_image
from workers.vault.vault import new_key

log = structlog.get_logger()

# Jumio serves images only after PROCESSED, so a 404 soon after may still mean "not yet"; thereafter it is gone.
NOT_FOUND_TRIES = 3
_FOR_GOOD = {TooLargeError.code, WithheldError.code}

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"BM", "image/bmp"),
)
_EXPECTED = {"image/jpeg", "image/png"}
# The one part that is a document and not a picture of one (retrieval guide).
_ORIGINAL = ("ORIGINAL", "application/pdf")


def store_image(conn: Connection, image_id: UUID, *, attempt: int, tools: Tools) -> None:
    """Fetch and keep one image; a part that Jumio does not have is `missing`. Raises LineError."""
    found = store.rows(conn, "images", "get_image", {"id": image_id})
    if not found:  # erased since it was claimed
        return
    [image] = found
    try:
        data = _download(conn, image, tools)
    except JumioNotFoundError as error:
        if image["counted"] < NOT_FOUND_TRIES:
            raise
        settle(conn, image_id, attempt=attempt, state="missing", error=str(error), outlet=tools.outlet)
        return
    if not data:
        raise JumioAnswerError("an image without a byte")

    facts = {"id": image_id, "attempt": attempt, "bytes": len(data), "sha256": hashlib.sha256(data).digest()}
    blob = _put(conn, data, image_id, attempt=attempt, tools=tools)
    media_type = sniff(data)
    is_expected = media_type in _EXPECTED or (image["classifier"], media_type) == _ORIGINAL
    flag = None if is_expected else "neither JPEG nor PNG"
    with conn.transaction():
        kept = store.change(conn, "images", "store_image", {**facts, **blob, "media_type": media_type, "flag": flag})
        if kept:
            _announce_when_settled(conn, image, outlet=tools.outlet)
    if not kept:
        tools.vaults.at(blob["store"], conn).delete(blob["blob_key"])
        return
    log.info("image.stored", workflow_key=image["workflow_key"], media_type=media_type, bytes=len(data))


def give_up(conn: Connection, image_id: UUID, *, attempt: int, error: str, outlet: Outlet) -> None:
    """What is too large or withheld is `refused` for good; everything else is `parked` for an operator."""
    state = "refused" if error.partition(":")[0] in _FOR_GOOD else "parked"
    settle(conn, image_id, attempt=attempt, state=state, error=error, outlet=outlet)


def _put(conn: Connection, data: bytes, image_id: UUID, *, attempt: int, tools: Tools) -> dict[str, str]:
    """The blob before the row: a crash in between leaves one that no row names, never a row without its blob.

    Nor is it deleted where the commit fails: who lost the connection cannot know whether it was committed.
    """
    keys, url, key = tools.settings.keys, tools.vaults.home, new_key(image_id, attempt=attempt)
    tools.vaults.at(url, conn).put(key, seal_image(data, image_id, keys=keys))
    return {"store": url, "blob_key": key, "key_id": keys.primary}


def _download(conn: Connection, image: store.Row, tools: Tools) -> bytes:
    if image["family"] in LEGACY:
        legacy = tenant_of(tools.legacy, image["tenant"])
        return legacy.image(conn, LEGACY[image["family"]], image["workflow_key"], image["classifier"])
    jumio = tenant_of(tools.jumio, image["tenant"])
    return jumio.image(conn, image["account_id"], image["credential_id"], image["classifier"])


def settle(conn: Connection, image_id: UUID, *, attempt: int, state: str, error: str, outlet: Outlet) -> None:
    """Settle an image that is not to be had, with the reason."""
    found = store.rows(conn, "images", "get_image", {"id": image_id})
    with conn.transaction():
        if store.finish(conn, "images", image_id, attempt=attempt, state=state, error=error):
            _announce_when_settled(conn, found[0], outlet=outlet)


def sniff(data: bytes) -> str:
    """The media type that the first bytes tell; what they do not tell is application/octet-stream."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    start = data[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    return "application/json" if start[:1] in (b"{", b"[") else "application/octet-stream"


def _announce_when_settled(conn: Connection, image: store.Row, *, outlet: Outlet) -> None:
    """The last image to be settled emits; the workflow's row makes them take turns."""
    key = {name: image[name] for name in ("tenant", "family", "workflow_key")}
    [workflow] = store.rows(conn, "workflows", "lock_workflow", key)
    [count] = store.rows(conn, "images", "count_images", key)
    if count["waiting"]:
        return
    values = {
        **key,
        "account_id": workflow["account_id"],
        "user_reference": workflow["user_reference"],
        "customer_reference": workflow["customer_reference"],
        "outcome": workflow["outcome"],
        "verdict_version": workflow["verdict_version"],
        "images_wanted": count["wanted"],
        "images_stored": count["stored"],
    }
    data = event_data("kyc.workflow.images-stored.v1", values)
    emit(conn, "kyc.workflow.images-stored.v1", key=key, data=data, outlet=outlet)
    store.rows(conn, "callbacks", "wake_relay")
