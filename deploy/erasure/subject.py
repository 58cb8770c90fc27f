"""Who is meant: a workflow, an account of Jumio's, or a reference of our own, within one tenant."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["workflow", "account", "user-reference"]


class SubjectError(Exception):
    """What was asked cannot be done to this subject; the text says what to do instead."""


@dataclass(frozen=True)
class Subject:
    """As the command line names it."""

    tenant: str
    kind: Kind
    subject: str

    def values(self) -> dict[str, str]:
        """As parameters of a query."""
        return {"tenant": self.tenant, "kind": self.kind, "subject": self.subject}
