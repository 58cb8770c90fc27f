"""One transaction: the person's rows go; certificate, tombstones, an event and work elsewhere stay."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from deploy.erasure.blobs import Blobs
from deploy.erasure.bodies import mentions
from deploy.erasure.rows import delete_rows, delete_workflow, hold_images, lock
from deploy.erasure.spools import NOT_SET, Aside, search_aside
from deploy.erasure.subject import Subject, SubjectError, require_reason
from schemas.callbacks.recognise import LEGACY
from schemas.events.data import event_data
from schemas.sealing import KeyRing, UnsealError
from workers import store
from workers.destinations.stream import EventStream
from workers.emit import Outlet, emit
from workers.vault.blob import stores
from workers.vault.vaults import Vaults

_ACTIONS = {"workflow": "workflow.erased", "account": "account.erased", "user-reference": "reference.erased"}


@dataclass(frozen=True)
class Erased:
    """The certificate's id, what was deleted, of which images a store may have more, and what nobody could search."""

    id: UUID
    rows: Counter[str]
    blobs: Blobs
    unsearched: int


@dataclass(frozen=True)
class _Found:
    accounts: Sequence[str]
    workflows: Sequence[store.Row]


def erase(
    conn: Connection,
    subject: Subject,
    *,
    reason: str,
    keys: KeyRing,
    outlet: Outlet,
    vaults: Vaults,
    aside: Aside = NOT_SET,
) -> Erased:
    """Erase a subject here, and write down what the line has still to do elsewhere. Raises SubjectError.

    After the commit the caller has the images deleted that are not in Postgres: see blobs.delete_left.
    """
    reason = require_reason(reason)
    with conn.transaction():
        store.rows(conn, "erasures", "keep_holds_still")
        found = _find_and_lock(conn, subject)
        _refuse_held(conn, subject, found)
        _refuse_telling_reason(conn, subject, found, reason)

        erasure_id, deleted = uuid7(), Counter[str]()
        blobs = Blobs(urls=set(stores(conn, vaults=vaults)))
        deleted["callbacks"] += _delete_unread(conn, subject, found, keys)
        for each in found.workflows:
            rows, each["busy_until"] = _delete(conn, subject.tenant, each, outlet=outlet, blobs=blobs)
            deleted += rows
        deleted += _delete_words(conn, subject, found)

        spools = search_aside(conn, aside, subject.tenant, _ids(found), keys=keys)
        deleted += Counter(spool_lines=spools.own, unread_spool_lines=spools.unread)
        _certify(conn, subject, found, erasure_id, reason=reason, deleted=deleted, unsearched=spools.unsearched)
        _want_deletions(conn, subject, found, erasure_id, stream=EventStream.name in outlet.destinations)
        store.rows(conn, "callbacks", "wake_relay")
    return Erased(erasure_id, deleted, blobs, spools.unsearched)


def _find_and_lock(conn: Connection, subject: Subject) -> _Found:
    accounts = [subject.subject] if subject.kind == "account" else []
    if subject.kind == "user-reference":
        accounts = [row["account_id"] for row in store.rows(conn, "erasures", "find_accounts", subject.values())]
    for account in sorted(accounts):
        lock(conn, "account", subject.tenant, account)
    asked = {
        "tenant": subject.tenant,
        "workflow_key": subject.subject if subject.kind == "workflow" else None,
        "user_reference": subject.subject if subject.kind == "user-reference" else None,
        "accounts": accounts,
    }
    # Once more under the locks: what was recorded meanwhile is waited for, and nothing is recorded any more.
    for row in store.rows(conn, "erasures", "find_workflows", asked):
        lock(conn, "workflow", subject.tenant, row["workflow_key"])
    workflows = store.rows(conn, "erasures", "find_workflows", asked)
    if not workflows:
        raise SubjectError(_why_nothing(conn, subject))
    return _Found(sorted(accounts), workflows)


def _why_nothing(conn: Connection, subject: Subject) -> str:
    earlier = store.rows(conn, "erasures", "find_erasure", subject.values())
    if earlier:
        return f"erased already, {earlier[0]['erased_at']:%Y-%m-%d %H:%M}: certificate {earlier[0]['id']}"
    return f"nothing is known (any more) of this {subject.kind} in tenant {subject.tenant}; see compliance.workflows"


def _refuse_held(conn: Connection, subject: Subject, found: _Found) -> None:
    for each in found.workflows:
        [answer] = store.rows(conn, "erasures", "is_held", {"tenant": subject.tenant, **each})
        if answer["held"]:
            raise SubjectError(
                f"workflow {each['workflow_key']} is on legal hold, so nothing was erased; see: jumio-pipeline holds "
                "list. Once it may go: jumio-pipeline holds release, then erase again"
            )


def _refuse_telling_reason(conn: Connection, subject: Subject, found: _Found, reason: str) -> None:
    words = {each["user_reference"] for each in found.workflows}
    # A login that may not read identities in the clear compares references only.
    with suppress(InsufficientPrivilege), conn.transaction():
        for each in found.workflows:
            rows = store.rows(conn, "erasures", "personal_words", _key(subject.tenant, each))
            words |= {row["word"] for row in rows}
    if any(word and _as_words(word) in _as_words(reason) for word in words):
        raise SubjectError("the reason names the person; it stays in the audit trail for ever, so say it without")


def _as_words(text: str) -> str:
    """With a blank before and after: a name of two letters is part of many words."""
    return f" {' '.join(''.join(each if each.isalnum() else ' ' for each in text).casefold().split())} "


def _delete_unread(conn: Connection, subject: Subject, found: _Found, keys: KeyRing) -> int:
    """Bodies that no worker has read, or could read, in which one of the ids stands."""
    ids, deleted = _ids(found), 0
    for row in store.rows(conn, "erasures", "unread_callbacks", {"tenant": subject.tenant}):
        try:
            body = keys.unseal(row["sealed_body"], place=f"callbacks.body/{row['id']}")
        except UnsealError:  # with no key it is as good as gone
            continue
        if mentions(body, ids):
            deleted += store.change(conn, "erasures", "delete_callback", {"id": row["id"]})
    return deleted


def _delete(
    conn: Connection, tenant: str, workflow: store.Row, *, outlet: Outlet, blobs: Blobs
) -> tuple[Counter[str], datetime | None]:
    """Of what is recorded, subscribers may have heard; they hear that it is gone, after what is being sent to them.

    The word is written while events and verdicts are there: by either, a filter on outcomes knows who has heard.
    """
    key = _key(tenant, workflow)
    images = hold_images(conn, key)
    blobs.note(images)
    if workflow["recorded"]:
        data = event_data("kyc.subject.erased.v1", {**key, "reason": "erasure"})
        emit(conn, "kyc.subject.erased.v1", key=key, data=data, outlet=outlet)
    deleted, busy_until = delete_rows(conn, key, images)
    if busy_until is not None:
        store.change(conn, "erasures", "delay_deliveries", {**key, "not_before": busy_until})
    return deleted + delete_workflow(conn, key), busy_until


def _delete_words(conn: Connection, subject: Subject, found: _Found) -> Counter[str]:
    """What operators told about the subject, and about a reference that nobody has any more."""
    told = [("workflow", each["workflow_key"]) for each in found.workflows]
    told += [("account", account) for account in found.accounts]
    for reference in {each["user_reference"] for each in found.workflows} - {None}:
        asked = {"tenant": subject.tenant, "subject": reference}
        if not store.rows(conn, "erasures", "has_reference", asked)[0]["exists"]:
            told.append(("user-reference", reference))
    deleted = Counter[str]()
    for kind, name in told:
        values = {"tenant": subject.tenant, "kind": kind, "subject": name}
        deleted["relationship_ends"] += store.change(conn, "erasures", "delete_words_of", values)
        deleted["holds"] += store.change(conn, "erasures", "delete_released_holds", values)
    return deleted


def _certify(
    conn: Connection,
    subject: Subject,
    found: _Found,
    erasure_id: UUID,
    *,
    reason: str,
    deleted: Counter[str],
    unsearched: int,
) -> None:
    rows = {table: count for table, count in sorted(deleted.items()) if count}
    certificate = {
        "tenant": subject.tenant,
        "reason": reason,
        "id": erasure_id,
        "scope": subject.kind,
        "rows": Jsonb(rows),
        "unsearched": unsearched,
    }
    store.change(conn, "erasures", "insert_erasure", certificate)
    for kind, names in (
        ("account", found.accounts),
        ("workflow", sorted({each["workflow_key"] for each in found.workflows})),
    ):
        for name in names:
            values = {"kind": kind, "tenant": subject.tenant, "subject": name, "erasure_id": erasure_id}
            store.change(conn, "erasures", "insert_tombstone", values)
    # Not the subject: this row is never deleted. compliance.erasure_of finds the certificate for who has the id.
    details = {"erasure": str(erasure_id), "rows": rows, "unsearched": unsearched}
    store.append_audit(conn, _ACTIONS[subject.kind], tenant=subject.tenant, reason=reason, details=details)


def _want_deletions(conn: Connection, subject: Subject, found: _Found, erasure_id: UUID, *, stream: bool) -> None:
    """An account takes its workflows along at Jumio; what has none is deleted one by one."""
    for account in found.accounts:
        row = {"tenant": subject.tenant, "family": "kyx", "account_id": account, "workflow_key": None}
        _want(conn, erasure_id, "jumio", row)
    for each in found.workflows:
        if each["family"] in LEGACY or each["account_id"] not in found.accounts:
            _want(conn, erasure_id, "jumio", {**_key(subject.tenant, each), "account_id": each["account_id"] or None})
        if stream and each["recorded"]:
            row = {**_key(subject.tenant, each), "account_id": None}
            _want(conn, erasure_id, "stream", row, not_before=each["busy_until"])


def _want(
    conn: Connection, erasure_id: UUID, place: str, row: dict[str, Any], *, not_before: datetime | None = None
) -> None:
    values = {**row, "erasure_id": erasure_id, "place": place, "not_before": not_before}
    store.change(conn, "deletions", "insert_deletion", values)


def _ids(found: _Found) -> list[bytes]:
    """By which an unread body is known as the person's."""
    return [each["workflow_key"].encode() for each in found.workflows] + [each.encode() for each in found.accounts]


def _key(tenant: str, workflow: store.Row) -> dict[str, str]:
    return {"tenant": tenant, "family": workflow["family"], "workflow_key": workflow["workflow_key"]}
