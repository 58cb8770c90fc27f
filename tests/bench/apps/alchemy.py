"""(e) As most people write it: an async SQLAlchemy session that commits, then a Celery `delay`, in the handler."""

from celery import Celery
from serving import serve, setting
from sqlalchemy import LargeBinary
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

celery = Celery(broker=setting("BROKER_URL"))
celery.conf.task_ignore_result = True
engine = create_async_engine(setting("DATABASE_URL").replace("postgresql://", "postgresql+asyncpg://"))
sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


class Base(DeclarativeBase):
    """The declarative base."""


class Kept(Base):
    """A callback."""

    __tablename__ = "bench"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


@celery.task(name="bench.process")
def process(row_id: int) -> None:
    """Nobody consumes it here."""


async def take(request: Request) -> Response:
    """Keep, hand over, then answer."""
    async with sessions() as session:
        kept = Kept(body=await request.body())
        session.add(kept)
        await session.commit()
    process.delay(kept.id)
    return Response()


serve(Starlette(routes=[Route("/callbacks/{tenant}", take, methods=["POST"])]))
