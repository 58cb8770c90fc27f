"""Why it is done, in words that stay for ever: so not without any, and not with the person's name."""

from collections.abc import Iterable, Mapping

from psycopg import Connection

from deploy.erasure.subject import Subject, SubjectError
from workers import store

_LEAST = 4


def require_reason(conn: Connection, subject: Subject, reason: str) -> str:
    """For what is done to all workflows of a subject that are recorded. Raises SubjectError."""
    reason = require_words(reason)
    refuse_telling(conn, subject, store.rows(conn, "erasures", "workflows_of", subject.values()), reason)
    return reason


def require_words(reason: str) -> str:
    """Every deletion, hold and export says why, with four letters or digits at least. Raises SubjectError."""
    if sum(each.isalnum() for each in reason) < _LEAST:
        raise SubjectError("say why with --reason; it stands in the audit trail for ever, so without the person's name")
    return reason.strip()


def refuse_telling(conn: Connection, subject: Subject, workflows: Iterable[Mapping[str, object]], reason: str) -> None:
    """Postgres compares: the operator's login may not read what it would have to compare with."""
    told = subject.kind == "user-reference" and _as_words(subject.subject) in _as_words(reason)
    if told or any(_tells(conn, subject.tenant, each, reason) for each in workflows):
        raise SubjectError("the reason names the person; it stays in the audit trail for ever, so say it without")


def _tells(conn: Connection, tenant: str, workflow: Mapping[str, object], reason: str) -> bool:
    [answer] = store.rows(conn, "erasures", "names_person", {"tenant": tenant, **workflow, "reason": reason})
    return bool(answer["told"])


def _as_words(text: str) -> str:
    """With a blank before and after: a reference of two letters is part of many words."""
    return f" {' '.join(''.join(each if each.isalnum() else ' ' for each in text).casefold().split())} "
