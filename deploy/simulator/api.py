"""All of Jumio's hosts on one base URL: token, retrieval of every family, health (KYX guide)."""

import base64
import binascii
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.simulator import authentication, document, kyx, netverify
from deploy.simulator.guard import guarded, named
from deploy.simulator.world import World

log = structlog.get_logger()

# One module a family; each brings its endpoints.
FAMILIES: Sequence[Callable[[World], list[Route]]] = (
    kyx.routes,
    netverify.routes,
    authentication.routes,
    document.routes,
)


def build_api(world: World) -> Starlette:
    async def token(request: Request) -> Response:
        return await _token(world, request)

    async def stats(_request: Request) -> Response:
        return JSONResponse(world.stats.as_dict())

    async def page(_request: Request) -> Response:
        return JSONResponse(world.page.as_dict())

    async def say(request: Request) -> Response:
        return await _say(world, request)

    health = guarded(world, "health", page, named)
    return Starlette(
        routes=[
            Route("/oauth2/token", guarded(world, "token", token, named), methods=["POST"]),
            *(route for routes in FAMILIES for route in routes(world)),
            Route("/_control/stats", stats),
            Route("/_control/status", say, methods=["POST"]),
            # The status host answers at its root; settings take no path, so the root of all hosts is it.
            Route("/", health),
            Route("/status-page", health),
        ]
    )


async def _token(world: World, request: Request) -> Response:
    asked = parse_qs((await request.body()).decode("utf-8", "replace"))
    if asked.get("grant_type") != ["client_credentials"]:
        return JSONResponse({"error": "unsupported_grant_type"}, 400)
    if not world.tokens.knows(*_basic(request)):
        return JSONResponse({"error": "invalid_client"}, 400)
    access_token, expires_in = world.tokens.grant()
    log.info("simulator.token.granted", expires_in=expires_in)
    return JSONResponse({"access_token": access_token, "expires_in": expires_in, "token_type": "Bearer"})


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, secret


async def _say(world: World, request: Request) -> Response:
    """For a Jumio that runs as a program of its own: its status page is switched from outside."""
    try:
        found = await request.json()
        world.page.say(found["status"], found.get("details"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return JSONResponse({"error": "status, and details by part: UP, DEGRADED or DOWN"}, 400)
    return JSONResponse(world.page.as_dict())
