"""The retrieval API of the KYX family (KYX guide)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.simulator.breakage import problem, spoil, spoil_image
from deploy.simulator.details import Json
from deploy.simulator.faults import MALFORMED_FORMS, malformed
from deploy.simulator.guard import Check, authorized, guarded, named, serving, unhurried
from deploy.simulator.images import draw
from deploy.simulator.scenarios import Execution
from deploy.simulator.world import World

WORKFLOW = "/api/v1/accounts/{account}/workflow-executions/{workflow}"
ACCOUNT = "/api/v1/accounts/{account}"
PART = ACCOUNT + "/credentials/{credential}/parts/{classifier}"
READ: tuple[Check, ...] = (named, serving, authorized, unhurried)
CHANGE: tuple[Check, ...] = (named, serving, authorized)


def routes(world: World) -> list[Route]:
    kyx = Kyx(world)
    return [
        Route(WORKFLOW + "/status", guarded(world, "status", kyx.status, *READ)),
        Route(WORKFLOW + "/steps", guarded(world, "steps", kyx.steps, *READ)),
        Route(WORKFLOW, guarded(world, "details", kyx.details, *READ), methods=["GET"]),
        Route(PART, guarded(world, "part", kyx.part, *READ)),
        Route(WORKFLOW, guarded(world, "delete_workflow", kyx.delete_workflow, *CHANGE), methods=["DELETE"]),
        Route(ACCOUNT, guarded(world, "delete_account", kyx.delete_account, *CHANGE), methods=["DELETE"]),
    ]


class Kyx:
    """One method an endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def status(self, request: Request) -> Response:
        execution = self._execution(request)
        if not execution:
            return problem(404)
        return await self._answer(request, execution, "status", execution.status_document(execution.status))

    async def details(self, request: Request) -> Response:
        execution = self._execution(request)
        if not execution or execution.details is None:
            return problem(404)
        return await self._answer(request, execution, "details", execution.details)

    async def steps(self, request: Request) -> Response:
        execution = self._execution(request)
        # Workflows of before the platform have none (KYX guide).
        if not execution or execution.details is None or execution.outcome.details == "v3":
            return problem(404)
        return await self._answer(request, execution, "steps", execution.steps)

    async def part(self, request: Request) -> Response:
        asked = request.path_params
        execution = self._world.find_by_credential(asked["account"], asked["credential"])
        if not isinstance(execution, Execution):
            return problem(404)
        if asked["classifier"] == "PREPARED_DATA" and asked["credential"] == execution.credentials[-1]:
            return JSONResponse(execution.prepared_data())
        if (asked["credential"], asked["classifier"]) not in execution.images:
            return problem(404)
        drawing = draw(asked["credential"], asked["classifier"])
        return await self._image(request, execution, Response(drawing.data, media_type=drawing.media_type))

    async def delete_workflow(self, request: Request) -> Response:
        execution = self._execution(request)
        if not execution:
            return problem(404)
        self._world.forget(execution)
        return Response(status_code=200)

    async def delete_account(self, request: Request) -> Response:
        return Response(status_code=200) if self._world.forget_account(request.path_params["account"]) else problem(404)

    def _execution(self, request: Request) -> Execution | None:
        found = self._world.find(request.path_params["account"], request.path_params["workflow"])
        return found if isinstance(found, Execution) else None

    async def _answer(self, request: Request, execution: Execution, endpoint: str, document: Json) -> Response:
        faults, path = self._world.faults, request.scope["path"]
        fault = faults.next_strike(execution.key, endpoint, path)
        if fault == "token_expired_early":
            return self._revoked()
        if fault == "not_ready":
            return self._not_ready(execution, endpoint)
        if fault == "malformed":
            form = faults.variant(fault, execution.key, MALFORMED_FORMS)
            return Response(malformed(document, form), media_type="application/json")
        if endpoint == "details" and fault in {None, "slow", "findings_pending"}:
            self._world.note_read(execution.key)
        if fault == "findings_pending":
            return JSONResponse(execution.provisional_details)
        return await spoil(faults, fault, path, JSONResponse(document))

    async def _image(self, request: Request, execution: Execution, response: Response) -> Response:
        faults, path = self._world.faults, request.scope["path"]
        fault = faults.next_strike(execution.key, "part", path)
        if fault == "token_expired_early":
            return self._revoked()
        return await spoil_image(faults, fault, path, response, absent=problem(404))

    def _revoked(self) -> Response:
        self._world.tokens.revoke()
        return problem(401)

    def _not_ready(self, execution: Execution, endpoint: str) -> Response:
        """Details are not there yet, or say so themselves (retrieval guide)."""
        if endpoint == "status":
            return JSONResponse(execution.status_document("ACQUIRED"))
        if execution.details is None or self._world.faults.variant("not_ready", execution.key, 2):
            return problem(404)
        workflow = {**execution.details["workflow"], "status": "ACQUIRED"}
        kept = {name: execution.details[name] for name in ("account", "createdAt")}
        return JSONResponse({"workflow": workflow, **kept, "credentials": [], "capabilities": {}})
