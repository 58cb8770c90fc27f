"""The retrieval API v2 of the older generations, as far as they share it: Basic, headers, faults (retrieval guide)."""

import secrets
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.simulator.breakage import spoil, spoil_image
from deploy.simulator.details import Json
from deploy.simulator.faults import MALFORMED_FORMS, malformed
from deploy.simulator.guard import Check, Handler, guarded, named, serving, unhurried_legacy
from deploy.simulator.images import Drawing
from deploy.simulator.legacy import HOSTS, LegacyTransaction
from deploy.simulator.world import World

PREFIX = "/api/netverify/v2"
T = TypeVar("T", bound=LegacyTransaction)
Answer = Callable[[T, Request], Response | Json | Drawing | None]
# As which a request counts in the statistics, and which faults strike it.
STRUCK_AS = {
    "legacy_status": "status",
    "legacy_data": "details",
    "legacy_images": "steps",
    "legacy_image": "part",
}


def known(world: World, request: Request) -> Response | None:
    """Basic only; the answer's body is not on record, so it has the form of the 404 that is."""
    return None if world.legacy.admits(request.headers.get("authorization", "")) else refusal(world, request, 401)


READ: tuple[Check, ...] = (named, serving, known, unhurried_legacy)
CHANGE: tuple[Check, ...] = (named, serving, known)


def refusal(world: World, request: Request, status: int) -> Response:
    """Each as it was recorded for 404 (R:JuulLabs): the status is text."""
    what = {401: "Unauthorized", 403: "Forbidden", 404: "Not found"}[status]
    path, reference = request.scope["path"], request.path_params.get("reference", "")
    kind = "Document" if "/documents/" in path else "Scan"
    host = HOSTS[world.region]["/documents/" in path]
    message = f"{what}: {kind} not found for {reference}" if status == 404 else what  # noqa: PLR2004 -- well known
    return JSONResponse({"httpStatus": str(status), "message": message, "requestURI": f"{host}{path}"}, status)


class V2(Generic[T]):
    """The endpoints of one family, each a path below its transactions' own."""

    def __init__(self, world: World, root: str, kind: type[T]) -> None:
        self._world, self._root, self._kind = world, root, kind

    def get(self, path: str, counted: str, answer: Answer[T], *, prefix: str = PREFIX) -> Route:
        async def read(request: Request) -> Response:
            transaction = self._find(request)
            found = answer(transaction, request) if transaction else None
            if found is None or transaction is None:
                return refusal(self._world, request, 404)
            if isinstance(found, dict):
                return await self._document(request, transaction, counted, found)
            if isinstance(found, Drawing):
                return await self._image(request, transaction, Response(found.data, media_type=found.media_type))
            return found

        full = f"{prefix}{self._root}/{{reference}}{path}"
        return Route(full, self._tracked(guarded(self._world, counted, read, *READ)), methods=["GET"])

    def delete(self) -> Route:
        async def forget(request: Request) -> Response:
            transaction = self._find(request)
            if transaction is None:
                return refusal(self._world, request, 404)
            self._world.forget(transaction)
            return Response(status_code=200)

        full = f"{PREFIX}{self._root}/{{reference}}"
        handler = guarded(self._world, "legacy_delete", forget, *CHANGE)
        return Route(full, self._tracked(handler), methods=["DELETE"])

    def _find(self, request: Request) -> T | None:
        found = self._world.find("", request.path_params["reference"])
        return found if isinstance(found, self._kind) else None

    def _tracked(self, handler: Handler) -> Handler:
        async def tracked(request: Request) -> Response:
            response = await handler(request)
            response.headers["x-trackingid"] = secrets.token_hex(8)
            return response

        return tracked

    async def _document(self, request: Request, transaction: T, counted: str, found: Json) -> Response:
        faults, path = self._world.faults, request.scope["path"]
        fault = faults.next_strike(transaction.key, STRUCK_AS[counted], path)
        if fault == "not_ready":
            return self._not_ready(request, transaction, counted, found)
        if fault == "malformed":
            form = faults.variant(fault, transaction.key, MALFORMED_FORMS)
            return Response(malformed(found, form), media_type="application/json")
        if counted == "legacy_data" and fault in {None, "slow"}:
            self._world.note_read(transaction.key)
        return await spoil(faults, fault, path, JSONResponse(found))

    async def _image(self, request: Request, transaction: T, response: Response) -> Response:
        path = request.scope["path"]
        fault = self._world.faults.next_strike(transaction.key, "part", path)
        absent = refusal(self._world, request, 404)
        return await spoil_image(self._world.faults, fault, path, response, absent=absent)

    def _not_ready(self, request: Request, transaction: T, counted: str, found: Json) -> Response:
        """The status says so; data are not there yet, or say so themselves."""
        if counted == "legacy_status" and "status" in found:
            return JSONResponse({**found, "status": "PENDING"})
        if self._world.faults.variant("not_ready", transaction.key, 2):
            return refusal(self._world, request, 404)
        return JSONResponse(transaction.document(ready=False))
