"""(c) One INSERT and commit a request, from a pool: durable, and as simple as it gets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from serving import serve, setting
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, AsyncConnectionPool]]:
    """A pool of 10, as most have it."""
    async with AsyncConnectionPool(
        setting("DATABASE_URL"), min_size=10, max_size=10, kwargs={"autocommit": True}
    ) as pool:
        yield {"pool": pool}


async def take(request: Request) -> Response:
    """Keep, then answer."""
    body = await request.body()
    async with request.state.pool.connection() as conn:
        await conn.execute("INSERT INTO bench (body) VALUES (%s)", (body,))
    return Response()


serve(Starlette(routes=[Route("/callbacks/{tenant}", take, methods=["POST"])], lifespan=lifespan))
