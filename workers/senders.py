"""queued -> delivered: the threads of one worker process that deliver; a slow subscriber holds up no other row."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from uuid import UUID

import structlog

log = structlog.get_logger()

# More than one target may have under way (deliveries.sql, lease): a single dead one never has them all.
SENDERS = 8


class Senders:
    """Takes a delivery as soon as one of the threads is free; the claim on its row outlives a process that dies."""

    def __init__(self, deliver: Callable[[UUID], None], *, count: int = SENDERS) -> None:
        self._deliver = deliver
        self._free = threading.BoundedSemaphore(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="sender")
        self.closing = False

    def take(self, delivery_id: UUID) -> None:
        """Hand it to a thread; while all are busy the process takes no other message."""
        self._free.acquire()
        # With what the log knows of the task.
        taken = self._threads.submit(copy_context().run, self._deliver, delivery_id)
        taken.add_done_callback(self._note_end)

    def close(self) -> None:
        """Wait for what is under way: no longer than a delivery's deadline."""
        self.closing = True
        self._threads.shutdown()

    def _note_end(self, taken: "Future[None]") -> None:
        self._free.release()
        error = taken.exception()
        if error is not None:
            # Postgres went away, mostly: the row is tried again once its claim has run out.
            log.error("delivery.interrupted", exc_info=error)
