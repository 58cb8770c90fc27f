"""The status page of one region, as Jumio publishes it (KYX guide)."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

Health = Literal["UP", "DEGRADED", "DOWN"]
PARTS = ("api", "callback", "mobile", "processing", "retrieval", "web")


class StatusPage:
    """Shared by the customers of a region. Safe to change from any thread: what it says is replaced as a whole."""

    def __init__(self) -> None:
        self._says: tuple[Health, dict[str, Health]] = ("UP", {})

    def say(self, status: Health, details: Mapping[str, Health] | None = None) -> None:
        """`details` lists only the parts in trouble. Raises ValueError for words that Jumio does not use."""
        found = dict(details or {})
        if {status, *found.values()} - {*get_args(Health)} or found.keys() - {*PARTS}:
            raise ValueError(f"{status} {found} is not what a status page says")
        self._says = status, found

    @property
    def retrieval_is_down(self) -> bool:
        status, details = self._says
        return details.get("retrieval", status) == "DOWN"

    def as_dict(self) -> dict[str, Any]:
        status, details = self._says
        return {"status": status, **({"details": details} if details else {})}
