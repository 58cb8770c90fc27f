"""Every row of one workflow, deleted in the order that neither a foreign key nor a worker at it can refuse."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg import Connection

from deploy.erasure.subject import Kind
from deploy.erasure.words import delete_words
from workers import store

Key = Mapping[str, str]

# Images first: a worker that stores one holds its row and then asks for the workflow's, which must be free. Writers of
# all the rest hold the subject's lock, for which the caller has waited.
_DELETIONS = (
    "delete_images",
    "delete_events",
    "delete_verdicts",
    "delete_identities",
    "delete_checks",
    "delete_steps",
    "delete_reports",
    "delete_callbacks",
)


def keep_holds_still(conn: Connection) -> None:
    """Until the transaction ends no hold is placed. Waits a minute for each of its locks: others wait behind it."""
    store.rows(conn, "erasures", "wait_a_minute")
    store.change(conn, "erasures", "keep_holds_still")


def lock(conn: Connection, kind: str, tenant: str, subject: str) -> None:
    """Until the transaction ends nobody writes a first row of the subject. Accounts before workflows, each in order."""
    store.rows(conn, "erasures", "lock_subject", {"kind": kind, "tenant": tenant, "subject": subject})


def hold_images(conn: Connection, key: Key) -> list[store.Row]:
    """The workflow's images and their stores, before anything else of it is touched."""
    return store.rows(conn, "erasures", "hold_images", key)


def delete_rows(conn: Connection, key: Key, images: Sequence[store.Row]) -> tuple[Counter[str], datetime | None]:
    """All but the workflow's own row: how many of each table, and until when a worker may be sending one still."""
    sent = store.rows(conn, "erasures", "delete_deliveries", key)
    deleted = Counter({"stored_images": forget_images(conn, images), "deliveries": len(sent)})
    for name in _DELETIONS:
        deleted[name.removeprefix("delete_")] += store.change(conn, "erasures", name, key)
    return deleted, max((row["busy_until"] for row in sent if row["busy_until"]), default=None)


def delete_workflow(conn: Connection, key: Key) -> Counter[str]:
    """The workflow's own row, after all the others, and then what was told about it and about nobody else any more."""
    gone = store.rows(conn, "erasures", "delete_workflows", key)
    told: list[tuple[Kind, str | None]] = [("workflow", key["workflow_key"])]
    told += [("account", row["account_id"]) for row in gone]
    told += [("user-reference", row["user_reference"]) for row in gone]
    return Counter(workflows=len(gone)) + delete_words(conn, key["tenant"], told)


def forget_images(conn: Connection, images: Sequence[store.Row]) -> int:
    """How many of them were stored. Here those in Postgres go; all others after the commit, see blobs.py."""
    store.change(conn, "erasures", "delete_image_blobs", {"ids": [image["id"] for image in images]})
    return sum(image["store"] is not None for image in images)
