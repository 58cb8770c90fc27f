"""What a destination beside the subscribers is: a name in `deliveries.destination`, and a way to put an event there."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from schemas.settings import Settings


@dataclass(frozen=True)
class Event:
    """One event: the body is what everyone gets, the rest is for routing; `replays`: sent again by an operator."""

    id: str
    type: str
    tenant: str
    workflow_key: str
    sequence: int
    body: str
    replays: int = 0


class Destination(Protocol):
    """One a process, opened after the fork; several threads put events there."""

    name: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        """Connect at the first event, not here."""

    @staticmethod
    def enabled(settings: Settings) -> bool:
        """Whether new events go there."""

    def put(self, event: Event) -> None:
        """Put it there durably. Raises a TryAgainError; the event may then be there all the same."""

    def remove(self, *, tenant: str, subject: str) -> int:
        """Take back what it keeps of an erased subject; how many events. Raises a TryAgainError."""

    def close(self) -> None:
        """Close its connections."""
