"""One transaction: the person's rows go; certificate, tombstones, an event and work elsewhere stay."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from deploy.erasure.blobs import Blobs
from deploy.erasure.deadlock import again_after_deadlock
from deploy.erasure.reason import refuse_telling, require_words
from deploy.erasure.rows import delete_rows, delete_workflow, hold_images, keep_holds_still, lock
from deploy.erasure.spools import NOT_SET, Aside, search_aside
from deploy.erasure.subject import Subject, SubjectError
from deploy.erasure.unsettled import Theirs, delete_unsettled, find_claims
from deploy.erasure.words import delete_words
from schemas.callbacks.callback import Callback
from schemas.callbacks.recognise import LEGACY
from schemas.events.data import event_data
from schemas.sealing import KeyRing
from workers import store
from workers.destinations.stream import EventStream
from workers.emit import Outlet, emit
from workers.vault.blob import stores
from workers.vault.vaults import Vaults

_COLUMNS = {"workflow": "workflow_key", "account": "account_id", "user-reference": "user_reference"}
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
    theirs: Theirs


@dataclass(frozen=True)
class _Means:
    """What it takes to open, to tell and to delete."""

    keys: KeyRing
    outlet: Outlet
    vaults: Vaults
    aside: Aside


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
    reason, means = require_words(reason), _Means(keys, outlet, vaults, aside)
    return again_after_deadlock(lambda: _erase(conn, subject, reason, means))


def _erase(conn: Connection, subject: Subject, reason: str, means: _Means) -> Erased:
    with conn.transaction():
        keep_holds_still(conn)
        found = _find_and_lock(conn, subject, means.keys)
        _refuse_held(conn, subject, found)
        refuse_telling(conn, subject, found.workflows, reason)

        erasure_id, deleted = uuid7(), Counter[str]()
        blobs = Blobs(urls=set(stores(conn, vaults=means.vaults)))
        deleted["callbacks"] += delete_unsettled(conn, subject.tenant, found.theirs, means.keys)
        for each in found.workflows:
            deleted += _delete(conn, subject.tenant, each, outlet=means.outlet, blobs=blobs)
        deleted += delete_words(conn, subject.tenant, [(subject.kind, subject.subject)])
        deleted += delete_words(conn, subject.tenant, [("account", account) for account in found.accounts])

        spools = search_aside(conn, means.aside, subject.tenant, found.theirs, keys=means.keys)
        deleted += Counter(spool_lines=spools.own, unread_spool_lines=spools.unread)
        _certify(conn, subject, found, erasure_id, reason=reason, deleted=deleted, unsearched=spools.unsearched)
        _want_deletions(conn, subject, found, erasure_id)
        store.rows(conn, "callbacks", "wake_relay")
    return Erased(erasure_id, deleted, blobs, spools.unsearched)


def _find_and_lock(conn: Connection, subject: Subject, keys: KeyRing) -> _Found:
    reference = subject.subject if subject.kind == "user-reference" else None
    accounts = [subject.subject] if subject.kind == "account" else []
    claims, named = list[Callback](), False
    if reference is not None:
        claims, named = find_claims(conn, subject.tenant, reference, keys)
        claimed = {"claimed": [each.account_id for each in claims]}
        rows = store.rows(conn, "erasures", "find_accounts", {**subject.values(), **claimed})
        accounts = [row["account_id"] for row in rows]
    for account in sorted(accounts):
        lock(conn, "account", subject.tenant, account)
    asked = {
        "tenant": subject.tenant,
        "workflow_key": subject.subject if subject.kind == "workflow" else None,
        "user_reference": reference,
        "accounts": accounts,
        "claimed_families": [each.family for each in claims],
        "claimed_keys": [each.workflow_key for each in claims],
        "claimed_accounts": [each.account_id for each in claims],
    }
    # Once more under the locks: what was recorded meanwhile is waited for, and nothing is recorded any more.
    for row in store.rows(conn, "erasures", "find_workflows", asked):
        lock(conn, "workflow", subject.tenant, row["workflow_key"])
    workflows = store.rows(conn, "erasures", "find_workflows", asked)
    if not workflows and not named:
        raise SubjectError(_why_nothing(conn, subject))
    ids = [each["workflow_key"].encode() for each in workflows] + [each.encode() for each in accounts]
    return _Found(sorted(accounts), workflows, Theirs(ids, reference))


def _why_nothing(conn: Connection, subject: Subject) -> str:
    earlier = store.rows(conn, "erasures", "find_erasure", subject.values())
    if earlier:
        return f"erased already, {earlier[0]['erased_at']:%Y-%m-%d %H:%M}: certificate {earlier[0]['id']}"
    return f"nothing is known (any more) of this {subject.kind} in tenant {subject.tenant}; see compliance.workflows"


def _refuse_held(conn: Connection, subject: Subject, found: _Found) -> None:
    itself = {**dict.fromkeys(_COLUMNS.values()), _COLUMNS[subject.kind]: subject.subject}
    for each in (itself, *found.workflows):
        [answer] = store.rows(conn, "erasures", "is_held", {"tenant": subject.tenant, **each})
        if answer["held"]:
            whom = f"this {subject.kind}" if each is itself else f"workflow {each['workflow_key']}"
            raise SubjectError(
                f"{whom} is on legal hold, so nothing was erased; see: jumio-pipeline holds list. Once it may go: "
                "jumio-pipeline holds release, then erase again"
            )


def _delete(conn: Connection, tenant: str, workflow: store.Row, *, outlet: Outlet, blobs: Blobs) -> Counter[str]:
    """Of what is recorded, subscribers may have heard; they hear that it is gone, after what is being sent to them.

    The word is written while events and verdicts are there: by either, a filter on outcomes knows who has heard. The
    operator's shell need not have the settings of every destination.
    """
    key = _key(tenant, workflow)
    images = hold_images(conn, key)
    blobs.note(images)
    workflow["heard_at"] = {row["destination"] for row in store.rows(conn, "erasures", "heard_at", key)}
    workflow["heard_at"] |= {*outlet.destinations}
    if workflow["recorded"]:
        data = event_data("kyc.subject.erased.v1", {**key, "reason": "erasure"})
        everywhere = replace(outlet, destinations=tuple(sorted(workflow["heard_at"])))
        emit(conn, "kyc.subject.erased.v1", key=key, data=data, outlet=everywhere)
    deleted, busy_until = delete_rows(conn, key, images)
    if busy_until is not None:
        store.change(conn, "erasures", "delay_deliveries", {**key, "not_before": busy_until})
    workflow["busy_until"] = busy_until
    return deleted + delete_workflow(conn, key)


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


def _want_deletions(conn: Connection, subject: Subject, found: _Found, erasure_id: UUID) -> None:
    """An account takes its workflows along at Jumio; what has none is deleted one by one."""
    for account in found.accounts:
        row = {"tenant": subject.tenant, "family": "kyx", "account_id": account, "workflow_key": None}
        _want(conn, erasure_id, "jumio", row)
    for each in found.workflows:
        if each["family"] in LEGACY or each["account_id"] not in found.accounts:
            _want(conn, erasure_id, "jumio", {**_key(subject.tenant, each), "account_id": each["account_id"] or None})
        if each["recorded"] and EventStream.name in each["heard_at"]:
            row = {**_key(subject.tenant, each), "account_id": None}
            _want(conn, erasure_id, "stream", row, not_before=each["busy_until"])


def _want(
    conn: Connection, erasure_id: UUID, place: str, row: dict[str, Any], *, not_before: datetime | None = None
) -> None:
    values = {**row, "erasure_id": erasure_id, "place": place, "not_before": not_before}
    store.change(conn, "deletions", "insert_deletion", values)


def _key(tenant: str, workflow: store.Row) -> dict[str, str]:
    return {"tenant": tenant, "family": workflow["family"], "workflow_key": workflow["workflow_key"]}
