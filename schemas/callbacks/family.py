"""What one of the older product generations has to say of itself: one module implements it, nothing else changes."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from schemas.callbacks.callback import Callback
from schemas.report import Family, Report

# Field names in lower case, because Jumio spelt them in two ways; every value that came under a name, in order.
Form = Mapping[str, Sequence[str]]
Host = Literal["legacy", "legacy_documents"]


class LegacyFamily(Protocol):
    """A generation whose callback is a form that brings its result along (Jumio's guides)."""

    NAME: Family
    # Which of the tenant's legacy base URLs its retrieval calls go to.
    HOST: Host

    def recognises(self, form: Form) -> bool:
        """By its fields, never by the Content-Type."""
        ...

    def read(self, form: Form) -> Callback:
        """What it is about, with the result it brought as `told`. Raises UnreadableCallbackError."""
        ...

    def reads(self, key: str) -> Mapping[str, str]:
        """The retrieval documents that make a report: name to path below /api/netverify/v2."""
        ...

    def report(self, documents: Mapping[str, bytes | None], key: str) -> Report:
        """What those documents say; one that answered 404 is None, the first of `reads` never is. Raises ValueError."""
        ...

    def image_path(self, key: str, classifier: str) -> str:
        """Where a part of the report is downloaded, below /api/netverify/v2."""
        ...
