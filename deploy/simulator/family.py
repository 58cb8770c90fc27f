"""What the simulator needs of a product generation: one module a family implements it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

OutcomeName = Literal["passed", "rejected", "warning", "expired", "unsupported", "not_executed"]


@dataclass(frozen=True)
class Expectation:
    """What the product should conclude from one transaction.

    `label` is that of the decision, None where no details are ever readable. `images` counts the downloadable ones.
    `failed_checks` are (check, label) of everything that was rejected or warned of.
    """

    outcome: OutcomeName
    label: str | None
    images: int
    failed_checks: tuple[tuple[str, str], ...]


class Transaction(Protocol):
    """One transaction of any family, as far as callbacks and faults are concerned."""

    @property
    def family(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def account_id(self) -> str: ...

    @property
    def user_reference(self) -> str: ...

    @property
    def customer_reference(self) -> str: ...

    @property
    def expectation(self) -> Expectation: ...

    @property
    def status(self) -> str:
        """The final one."""
        ...

    @property
    def stages(self) -> Sequence[str]:
        """The statuses on the way, first to last, without the final one."""
        ...

    @property
    def media_type(self) -> str: ...

    @property
    def credentials(self) -> Sequence[str]:
        """The ids under which its images are asked for."""
        ...

    def callback(self, status: str, sent_at: datetime) -> bytes:
        """The body that Jumio posts."""
        ...

    def suffers(self, fault: str) -> bool:
        """Whether this fault can befall it at all."""
        ...

    def befall(self, faults: Collection[str]) -> Expectation | None:
        """Bear those faults that change what it says: what should be concluded at first, where that is another."""
        ...

    def correct(self) -> None:
        """Come to another decision, and expect that one from now on."""
        ...
