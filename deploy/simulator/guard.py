"""What every endpoint asks first: a client that says who it is, a valid token, no haste."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from deploy.simulator.breakage import problem
from deploy.simulator.stats import KYX, LEGACY, LEGACY_SECONDS
from deploy.simulator.world import World

Handler = Callable[[Request], Awaitable[Response]]
Check = Callable[[World, Request], Response | None]

# Jumio answers 403 to suspicious headers (KYX guide); a library's default name is the likeliest of them.
DEFAULT_AGENTS = re.compile(
    r"(python|curl|wget|httpx|aiohttp|urllib|go-http-client|java|okhttp|node|axios)\b", re.IGNORECASE
)


def guarded(world: World, endpoint: str, handler: Handler, *checks: Check) -> Handler:
    """The handler behind its checks, counted under the endpoint's name whatever the answer."""

    async def guard(request: Request) -> Response:
        at = world.stats.arrived(endpoint)
        refused = (check(world, request) for check in checks)
        response = next((each for each in refused if each), None) or await handler(request)
        world.stats.answered(at, endpoint, request.scope["path"], response.status_code)
        return response

    return guard


def named(_world: World, request: Request) -> Response | None:
    agent = request.headers.get("user-agent", "").strip()
    return problem(403) if not agent or DEFAULT_AGENTS.match(agent) else None


def authorized(world: World, request: Request) -> Response | None:
    """OAuth2 only: Basic is refused as such, not taken for a wrong token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return problem(403)
    return None if scheme.lower() == "bearer" and world.tokens.admits(token) else problem(401)


def serving(world: World, _request: Request) -> Response | None:
    """Nothing is read or deleted while the region says that it is down."""
    return problem(503) if world.page.retrieval_is_down else None


def unhurried(world: World, _request: Request) -> Response | None:
    limit = world.rate_limit
    return problem(429) if limit and world.stats.recent(KYX, 1.0) > limit else None


def unhurried_legacy(world: World, _request: Request) -> Response | None:
    limit = world.legacy_rate_limit
    return problem(429) if limit and world.stats.recent(LEGACY, LEGACY_SECONDS) > limit else None
