"""The ledger against what is kept, decided and delivered: acknowledged = kept = one verdict each = one event each."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from deploy.demo.subscriber import Received
from deploy.simulator.family import Transaction
from schemas.sql.queries import WAITING
from tests.crash_proof.ledger import Ledger
from tests.crash_proof.line import RECEIVERS, Line

SETTLE_SECONDS = 120.0
_LOOK_SECONDS = 0.5

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Problem:
    """One promise that was not kept: which, by what, and what the rows say."""

    promise: str
    about: str
    detail: str = ""


@dataclass(frozen=True)
class Found:
    """What there is at the end, read once."""

    callbacks: Rows
    workflows: Mapping[str, dict[str, Any]]
    verdicts: Rows
    events: Rows
    unfinished: Rows
    spooled: list[str]
    received: list[Received]


def settle(line: Line, seconds: float) -> float:
    """Wait until nothing waits any more, at most so long; how long it took."""
    started = time.monotonic()
    with line.connected() as conn:
        while time.monotonic() - started < seconds and (_unfinished(conn, limit=1) or _spooled(line)):
            line.watch(_LOOK_SECONDS)
    return time.monotonic() - started


def look(line: Line) -> Found:
    """At one instant: where work still goes on, it is to be called stuck and no more."""
    received = list(line.subscriber.received)
    with line.connected() as conn, conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        workflows = _rows(conn, "SELECT * FROM compliance.workflows")
        return Found(
            callbacks=_rows(conn, "SELECT * FROM compliance.callbacks"),
            workflows={row["workflow_key"]: row for row in workflows},
            verdicts=_rows(conn, "SELECT * FROM compliance.verdicts"),
            events=_rows(conn, "SELECT * FROM compliance.events"),
            unfinished=_unfinished(conn, limit=1000),
            spooled=_spooled(line),
            received=received,
        )


def problems(found: Found, ledger: Ledger, truth: Mapping[str, Transaction]) -> list[Problem]:
    """Everything that is not as promised; empty when the proof holds."""
    return [
        *_at_the_door(found, ledger),
        *_kept(found, ledger),
        *_stuck(found),
        *_decided(found, ledger, truth),
        *_delivered(found),
    ]


def _at_the_door(found: Found, ledger: Ledger) -> Iterator[Problem]:
    for entry in ledger.entries:
        if entry.answer not in {200, 503, None}:
            yield Problem("a genuine callback gets 200, or 503", entry.key, f"{entry.answer} during {entry.faults}")
    for row in found.callbacks:
        if row["state"] in {"refused", "unverified", "parked"}:
            yield Problem("nothing genuine is put aside", str(row["callback_id"]), f"{row['state']}: {row['reason']}")


def _kept(found: Found, ledger: Ledger) -> Iterator[Problem]:
    """By the hash of the bytes: a body that was sent twice and acknowledged twice is there twice."""
    kept = Counter(row["sha256"] for row in found.callbacks)
    about = {entry.sha256: entry for entry in ledger.entries}
    for sha256, count in (ledger.acknowledged() - kept).items():
        entry = about[sha256]
        yield Problem("acknowledged is kept", entry.key, f"{count} of {sha256[:12]} lost, during {entry.faults}")
    for sha256, count in (kept - ledger.sent()).items():
        yield Problem("nothing is invented", sha256[:12], f"{count} more than were sent")


def _stuck(found: Found) -> Iterator[Problem]:
    for row in found.unfinished:
        detail = f"{row['state']}, attempt {row['attempts']}, waits {row['waits']}: {row['last_error']}"
        yield Problem("nothing is stuck", f"{row['work']} {row['id']}", detail)
    for name in found.spooled:
        yield Problem("nothing is stuck", name, "not drained")


def _decided(found: Found, ledger: Ledger, truth: Mapping[str, Transaction]) -> Iterator[Problem]:
    versions = Counter(row["workflow_key"] for row in found.verdicts)
    for key in sorted(found.workflows.keys() - truth.keys()):
        yield Problem("nothing is invented", key, "no such workflow")
    for key in sorted(ledger.owed() - versions.keys()):
        yield Problem("each acknowledged workflow has its verdict", key, "none")
    for key, count in versions.items():
        row, expected = found.workflows[key], truth[key].expectation
        if count != 1 or row["verdict_version"] != 1:
            yield Problem("exactly one verdict", key, f"{count}, at version {row['verdict_version']}")
        if row["outcome"] != expected.outcome:
            yield Problem("the verdict is Jumio's", key, f"{row['outcome']} instead of {expected.outcome}")
        if (row["images_wanted"], row["images_stored"]) != (expected.images, expected.images):
            stored = f"{row['images_stored']} of {row['images_wanted']} stored, {expected.images} expected"
            yield Problem("every image is stored", key, stored)


def _delivered(found: Found) -> Iterator[Problem]:
    decided = {row["workflow_key"] for row in found.verdicts}
    emitted = {str(row["event_id"]): row for row in found.events}
    received: dict[str, set[str]] = defaultdict(set)
    for each in found.received:
        received[each.event["id"]].add(json.dumps(each.event))
        if not each.verified:
            yield Problem("every delivery verifies", each.event["id"])
    for event_id in emitted.keys() - received.keys():
        yield Problem("every event is delivered", event_id, str(emitted[event_id]))
    for event_id in received.keys() - emitted.keys():
        yield Problem("nothing is invented", event_id, "an event that is not in the database")
    for event_id, bodies in received.items():
        if len(bodies) > 1:
            yield Problem("one id, one event", event_id, f"{len(bodies)} different bodies")
    yield from _told(found, decided)
    yield from _in_order(found.received)


def _told(found: Found, decided: Iterable[str]) -> Iterator[Problem]:
    """Each verdict in exactly one event, sequences without a gap."""
    types: dict[str, list[str]] = defaultdict(list)
    for row in sorted(found.events, key=lambda row: row["sequence"]):
        types[row["workflow_key"]].append(row["type"])
        if len(types[row["workflow_key"]]) != row["sequence"]:
            yield Problem("sequences count up", row["workflow_key"], str(row["sequence"]))
    for key in decided:
        verdicts = [name for name in types[key] if "images" not in name]
        if len(verdicts) != 1:
            yield Problem("one event for each verdict", key, str(types[key]))


def _in_order(received: Iterable[Received]) -> Iterator[Problem]:
    """By what came first of each id: repeats may come late."""
    last: Counter[str] = Counter()
    seen: set[str] = set()
    for each in received:
        event = each.event
        if event["id"] not in seen and event["sequence"] < last[event["subject"]]:
            yield Problem("events come in order", event["subject"], f"{event['sequence']} came late")
        seen.add(event["id"])
        last[event["subject"]] = max(last[event["subject"]], event["sequence"])


def _unfinished(conn: Connection, *, limit: int) -> Rows:
    """What waits and what was given up, of every table with work in it."""
    return [
        {"work": table, **row}
        for table, waiting in WAITING.items()
        for row in _rows(
            conn,
            "SELECT id, state, attempts, last_error, greatest(claimed_until, leased_until, next_attempt_at) - now()"
            f" AS waits FROM pipeline.{table} WHERE state IN ('{waiting}', 'unverified', 'parked') LIMIT {limit}",
        )
    ]


def _spooled(line: Line) -> list[str]:
    """Segments with something in them, and lines that were set aside."""
    files = [path for name in RECEIVERS for path in line.spool(name).glob("*") if path.suffix in {".spool", ".damaged"}]
    return [str(path) for path in files if path.stat().st_size]


def _rows(conn: Connection, sql: str) -> Rows:
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.encode()).fetchall()
