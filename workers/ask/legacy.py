"""The older generations: the callback brings its result along, and the retrieval API confirms it (retrieval guide)."""

from dataclasses import replace

import structlog
from psycopg import Connection

from schemas.callbacks.callback import Callback
from schemas.callbacks.family import LegacyFamily
from schemas.callbacks.lenient import ForeignAnswerError
from schemas.report import Report
from schemas.verdict import Verdict
from workers.decide import CONTRADICTION, decide, reconcile
from workers.errors import JumioAnswerError, JumioNotReadyError, MismatchError
from workers.jumio.legacy import Legacy

log = structlog.get_logger()


def ask_legacy(
    conn: Connection, legacy: Legacy, callback: Callback, family: LegacyFamily
) -> tuple[Report, Verdict] | None:
    """What is known of the transaction, and the verdict on it; None while it is underway.

    Without credentials the callback's own data decides, and the verdict says so. Where the two contradict each other
    the verdict is a warning and an alarm is logged: a person has to look.
    """
    told = callback.told
    if told is None or not told.final:
        return None
    if not legacy.enabled:
        return _as_told(told), decide(told, "callback")
    documents = legacy.documents(conn, family, callback.workflow_key)
    try:
        confirmed = family.report(documents, callback.workflow_key)
    except ForeignAnswerError:
        raise MismatchError("the retrieval API shows another transaction than was asked for") from None
    except ValueError as error:
        raise JumioAnswerError("legacy documents", type(error).__name__) from None
    if not confirmed.final:
        raise JumioNotReadyError("the retrieval API does not call it final yet")
    verdict = reconcile(told, confirmed)
    if verdict.label == CONTRADICTION:
        log.error("verdict.contradicted", workflow_key=callback.workflow_key, family=callback.family)
    return confirmed, verdict


def _as_told(told: Report) -> Report:
    """Images cannot be downloaded without credentials."""
    return replace(told, parts=tuple(replace(part, offered=False) for part in told.parts))
