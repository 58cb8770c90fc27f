"""(a) The floor: a Starlette function route that reads the body and answers."""

from serving import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def take(request: Request) -> Response:
    """Read, forget, answer."""
    await request.body()
    return Response()


serve(Starlette(routes=[Route("/callbacks/{tenant}", take, methods=["POST"])]))
