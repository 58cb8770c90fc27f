"""(d) A Celery `delay` a request, in a thread so that the loop goes on: quick to write, and only in Redis."""

from celery import Celery
from serving import serve, setting
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

celery = Celery(broker=setting("BROKER_URL"))
celery.conf.task_ignore_result = True


@celery.task(name="bench.process")  # type: ignore[untyped-decorator]
def process(body: str) -> None:
    """Nobody consumes it here."""


async def take(request: Request) -> Response:
    """Hand over, then answer."""
    body = await request.body()
    await run_in_threadpool(process.delay, body.decode())
    return Response()


serve(Starlette(routes=[Route("/callbacks/{tenant}", take, methods=["POST"])]))
