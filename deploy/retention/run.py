"""Deletes what a policy keeps no longer: counted first, refused where it is too much at once, in batches, audited."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import Connection

from deploy.erasure.blobs import Blobs, delete_left
from deploy.erasure.deadlock import again_after_deadlock
from deploy.erasure.rows import delete_rows, delete_workflow, forget_images, hold_images, keep_holds_still, lock
from deploy.retention.policy import Rule
from workers import store
from workers.vault.blob import stores
from workers.vault.vaults import Vaults

# A transaction of a second or so: workers that wait for its rows hardly notice.
_BATCH = 500
# What a store of images may take to come back before the run ends.
_STORE_SECONDS = 10.0
# What is cleared of each kind of row, in order; the row itself stays where others refer to it.
_CLEAR = {
    "images": ("clear_images",),
    "identities": ("clear_enriched", "clear_identities"),
    "reports": ("clear_reports",),
    "callbacks": ("clear_callbacks",),
    "events": ("clear_deliveries", "clear_events"),
}


class RetentionError(Exception):
    """Nothing was deleted; the text says why and what to do."""


@dataclass(frozen=True)
class Due:
    """One class as it stands: how many rows there are, are due, and are due but on hold."""

    rule: Rule
    rows: int
    due: int
    held: int

    @property
    def share(self) -> float:
        return self.due / self.rows if self.rows else 0.0


def count_due(conn: Connection, rules: Sequence[Rule]) -> list[Due]:
    """What a run would delete now."""
    found = []
    for rule in rules:
        [row] = store.rows(conn, "retention", "count_due", _asked(rule))
        found.append(Due(rule, **row))
    return found


def count_waiting(conn: Connection) -> int:
    """Workflows that the class `verdicts` leaves alone, due or not, while something of them waits."""
    [row] = store.rows(conn, "retention", "count_waiting")
    return int(row["workflows"])


def run(conn: Connection, rules: Sequence[Rule], *, vaults: Vaults, most_share: float | None = None) -> dict[str, int]:
    """Delete what is due, class by class: how many rows of each. Raises RetentionError before the first deletion.

    Raises BlobsLeftError where a store of images is away, after the batch that was to be deleted there.
    """
    [answer] = store.rows(conn, "retention", "run_alone")
    if not answer["alone"]:
        raise RetentionError(
            "another run is under way; wait for it (who: pg_stat_activity, by the advisory lock in pg_locks)"
        )
    try:
        if problem := too_much(count_due(conn, rules), most_share):
            raise RetentionError(problem)
        store.note_settings(conn, "retention", {rule.name: f"{rule.keep} since {rule.clock}" for rule in rules})
        urls = stores(conn, vaults=vaults)
        return {rule.name: sum(_batches(conn, rule, urls, vaults)) for rule in rules}
    finally:
        store.rows(conn, "retention", "end_run")


def too_much(found: Sequence[Due], most_share: float | None) -> str:
    """Why a run refuses: a clock that jumped, or a policy with a slip of the pen, would delete years at once."""
    lines = [
        f"{each.rule.name}: {each.due} of {each.rows} rows are due ({each.share:.1%}); {allowed:.1%} may go in one run"
        for each in found
        if each.share > (allowed := each.rule.most_share if most_share is None else most_share)
    ]
    advice = (
        "nothing was deleted; is the clock of Postgres right, and the policy? Then: --most-share with what you mean"
    )
    return "\n".join([*lines, advice]) if lines else ""


def _batches(conn: Connection, rule: Rule, urls: Sequence[str], vaults: Vaults) -> Iterator[int]:
    """Each in a transaction of its own, with its line in the audit trail; then the images that other stores keep."""
    while True:
        deleted, blobs = again_after_deadlock(lambda: _batch(conn, rule, urls))
        delete_left(conn, blobs, vaults=vaults, seconds=_STORE_SECONDS)
        if not deleted:
            return
        yield deleted


def _batch(conn: Connection, rule: Rule, urls: Sequence[str]) -> tuple[int, Blobs]:
    blobs = Blobs(urls=set(urls))
    with conn.transaction():
        keep_holds_still(conn)
        rows = store.rows(conn, "retention", "take_due", {**_asked(rule), "batch": _BATCH})
        if not rows:
            return 0, blobs
        deleted = _delete(conn, rule, rows, blobs)
        details = {**_asked(rule), "rows": deleted}
        store.append_audit(conn, "retention.ran", reason="retention policy", details=details)
    return deleted, blobs


def _delete(conn: Connection, rule: Rule, rows: Sequence[store.Row], blobs: Blobs) -> int:
    if rule.name == "verdicts":
        keys = sorted((row["workflow_key"], row["tenant"], row["family"]) for row in rows)
        return sum(_delete_workflow(conn, rule, dict(zip(_KEY, key, strict=True)), blobs) for key in keys)
    places: defaultdict[str, list[UUID]] = defaultdict(list)
    for row in rows:
        places[row["place"]].append(row["id"])
    return sum(_clear(conn, place, ids, blobs) for place, ids in places.items())


_KEY = ("workflow_key", "tenant", "family")


def _delete_workflow(conn: Connection, rule: Rule, key: dict[str, str], blobs: Blobs) -> int:
    lock(conn, "workflow", key["tenant"], key["workflow_key"])
    [answer] = store.rows(conn, "retention", "is_due", {**_asked(rule), **key})
    if not answer["exists"]:
        return 0
    images = hold_images(conn, key)
    blobs.note(images)
    delete_rows(conn, key, images)
    return delete_workflow(conn, key)["workflows"]


def _clear(conn: Connection, place: str, ids: Sequence[UUID], blobs: Blobs) -> int:
    if place == "images":
        images = store.rows(conn, "retention", "hold_images", {"ids": list(ids)})
        blobs.note(images)
        forget_images(conn, images)
    return [store.change(conn, "retention", name, {"ids": list(ids)}) for name in _CLEAR[place]][-1]


def _asked(rule: Rule) -> dict[str, str]:
    return {"class": rule.name, "keep": rule.keep, "clock": rule.clock}
