"""Deletions lock many rows, in another order than others do: of two in each other's way Postgres ends one."""

from collections.abc import Callable
from typing import TypeVar

from psycopg.errors import DeadlockDetected

Done = TypeVar("Done")


def again_after_deadlock(transaction: Callable[[], Done]) -> Done:
    """Once more: nothing of it was done, and whoever was in the way has gone on meanwhile."""
    try:
        return transaction()
    except DeadlockDetected:
        return transaction()
