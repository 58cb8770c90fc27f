"""What every task does around its step: claim the row, and on failure put it back for later or park it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from psycopg import Connection

from schemas.callbacks.callback import UnreadableCallbackError
from schemas.sealing import UnsealError
from schemas.sql.queries import WorkTable
from workers import store
from workers.broker import ASKING_SECONDS, CLAIM_SECONDS
from workers.errors import LineError, ParkError, TooSlowError, TryAgainError, WaitError
from workers.jumio.deadline import within

log = structlog.get_logger()

# A fleet that retries in step hammers in step.
_JITTER = 0.1
# Where it is not known how long Jumio is to be left in peace.
_WAIT_SECONDS = 30.0

# What Celery logs of a child that was killed, of one that hung, and of an error that no one foresaw.
_CRASHED = (
    "crashed: no attempt came to an end; the worker's log says why: WorkerLostError, Hard time limit, "
    "or a line with this row and the class of an error"
)

Step = Callable[[Connection, int], None]
Park = Callable[[Connection, int, str], None]


@dataclass(frozen=True)
class Work:
    """One row's turn: the step to take, the delays in seconds between attempts, and how to give up."""

    table: WorkTable
    row_id: UUID
    schedule: Sequence[float]
    step: Step
    park: Park | None = None

    def run(self, conn: Connection) -> None:
        """Take the step if no one else has the row, and leave the row in a state that says how it went."""
        taken = store.claim(conn, self.table, self.row_id, seconds=CLAIM_SECONDS)
        if taken is not None:
            self.take(conn, taken.attempt, taken.counted)

    def take(self, conn: Connection, attempt: int, counted: int) -> None:
        """The same with a row that is claimed already."""
        if counted > len(self.schedule) + 1:
            self._give_up(conn, attempt, _CRASHED)
            return
        try:
            with within(ASKING_SECONDS):
                self.step(conn, attempt)
        except ParkError as error:
            self._give_up(conn, attempt, _with_advice(error))
        except UnreadableCallbackError as error:
            self._give_up(conn, attempt, str(error))
        except UnsealError as error:
            self._give_up(conn, attempt, f"unseal: {error}")
        except WaitError as error:
            self._postpone(conn, attempt, str(error), delay=_spread(error.retry_after or _WAIT_SECONDS), forgive=True)
        except TryAgainError as error:
            self._later(conn, attempt, counted, error)
        except SoftTimeLimitExceeded:
            self._later(conn, attempt, counted, TooSlowError())

    def _later(self, conn: Connection, attempt: int, counted: int, error: TryAgainError) -> None:
        if counted > len(self.schedule):
            self._give_up(conn, attempt, _with_advice(error))
        else:
            delay = max(_spread(self.schedule[counted - 1]), error.retry_after or 0.0)
            self._postpone(conn, attempt, str(error), delay=delay)

    def _postpone(self, conn: Connection, attempt: int, error: str, *, delay: float, forgive: bool = False) -> None:
        if store.retry(conn, self.table, self.row_id, attempt=attempt, delay=delay, error=error, forgive=forgive):
            log.warning("work.postponed", table=self.table, reason=error, attempt=attempt, seconds=round(delay, 1))

    def _give_up(self, conn: Connection, attempt: int, error: str) -> None:
        if self.park is not None:
            self.park(conn, attempt, error)
        else:
            store.finish(conn, self.table, self.row_id, attempt=attempt, state="parked", error=error)
        log.error("work.parked", table=self.table, reason=error, attempt=attempt)


def _with_advice(error: LineError) -> str:
    return f"{error}; {error.advice}" if error.advice else str(error)


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - not a secret
