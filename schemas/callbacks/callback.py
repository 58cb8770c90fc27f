"""What every family's callback is read into: a doorbell, nothing of the result."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from schemas.report import Family, Report

Stage = Literal["final", "underway", "unknown"]

# KYX guide: ids are opaque text, mostly UUIDs; what is allowed here is safe in a path.
_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


class UnreadableCallbackError(Exception):
    """The bytes are not a callback that this version can read: which rule they break, what was seen, which family."""

    @property
    def code(self) -> str:
        """The rule, as one word: the reason that the callback is parked for."""
        return str(self.args[0])

    @property
    def oddities(self) -> tuple[str, ...]:
        """As drift lists it."""
        return (f"unreadable:{self.code}", *(f"unknown_family:{kind}" for kind in self.args[2:]))

    def __str__(self) -> str:
        return ": ".join(self.args)


@dataclass(frozen=True)
class Callback:
    """Which transaction the doorbell rang for, and the status that it named.

    Older generations bring their result along: `told` is that, to be confirmed by the retrieval API. They know no
    account, so `account_id` is empty there. `reference`: our own of the person, if a callback without a result has it.
    `oddities` are what is new in the callback: codes with names of members.
    """

    family: Family
    workflow_key: str
    account_id: str
    status: str
    stage: Stage
    sent_at: datetime | None
    told: Report | None = None
    oddities: tuple[str, ...] = ()
    reference: str | None = field(default=None, repr=False)

    @property
    def user_reference(self) -> str | None:
        """Our own reference of the person."""
        return self.told.user_reference if self.told else self.reference


def is_id(value: object) -> bool:
    """Whether it may stand in a path: letters, digits and dashes, at most 64."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_time(value: object) -> datetime | None:
    """A Jumio timestamp (callback guide: 0 to 3 fraction digits, zone sometimes missing), or None.

    A time without a zone is UTC. One that no calendar has is None: the caller orders by receipt instead.
    """
    if not isinstance(value, str) or len(value) < len("2000-01-01"):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
