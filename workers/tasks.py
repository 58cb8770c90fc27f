"""The line as Celery tasks: open things, call the step, close. The only argument is the row's id."""

from uuid import UUID

from psycopg import Connection

from workers import store
from workers.app import app
from workers.broker import PULSE_TASK, TASKS
from workers.fetch import fetch
from workers.forget import RETRY_SECONDS, forget
from workers.images import give_up, store_image
from workers.tools import tools
from workers.work import Work


@app.task(name=TASKS["callbacks"])
def fetch_task(row_id: str) -> None:
    hand, callback_id = tools(), UUID(row_id)

    def step(conn: Connection, attempt: int) -> None:
        fetch(conn, callback_id, attempt=attempt, tools=hand)

    _run(Work("callbacks", callback_id, hand.settings.jumio_retry_seconds, step))


@app.task(name=TASKS["images"])
def store_image_task(row_id: str) -> None:
    hand, image_id = tools(), UUID(row_id)

    def step(conn: Connection, attempt: int) -> None:
        store_image(conn, image_id, attempt=attempt, tools=hand)

    def park(conn: Connection, attempt: int, error: str) -> None:
        give_up(conn, image_id, attempt=attempt, error=error, outlet=hand.outlet)

    _run(Work("images", image_id, hand.settings.jumio_retry_seconds, step, park))


@app.task(name=TASKS["deliveries"])
def deliver_task(row_id: str) -> None:
    """Several at once: others' servers are slow, and no time limit of Celery's is needed beside the deadline."""
    tools().senders.take(UUID(row_id))


@app.task(name=TASKS["deletions"])
def forget_task(row_id: str) -> None:
    hand, deletion_id = tools(), UUID(row_id)

    def step(conn: Connection, attempt: int) -> None:
        forget(conn, deletion_id, attempt=attempt, tools=hand)

    _run(Work("deletions", deletion_id, RETRY_SECONDS, step))


@app.task(name=PULSE_TASK)
def pulse_task() -> None:
    """A sign of life: written by whoever consumes, whatever else there is to do."""
    _run(None)


def _run(work: Work | None) -> None:
    hand = tools()
    with hand.connection() as conn:
        store.change(conn, "pulses", "beat", {"process": hand.worker, "role": "worker"})
        if work is not None:
            work.run(conn)
