"""What came of it, compared with what the simulator knows to be true; nothing here is computed by the product."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from deploy.demo.play import MALFORMED
from deploy.demo.subscriber import Subscriber
from deploy.simulator.caller import Sent
from deploy.simulator.report import Played, Report

Rows = list[dict[str, Any]]

# Faults after which an image is not there to be stored, or is stored as what it is not.
_NO_IMAGE = "missing_image"


@dataclass(frozen=True)
class Found:
    """The compliance views, as an analyst sees them."""

    workflows: dict[str, dict[str, Any]]
    verdicts: Rows
    checks: Rows
    images: Rows
    callbacks: Rows
    events: Rows


def look(conn: Connection) -> Found:
    """Read the views whole."""

    def read(view: bytes) -> Rows:
        with conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(b"SELECT * FROM compliance." + view).fetchall()

    return Found(
        workflows={row["workflow_key"]: row for row in read(b"workflows")},
        verdicts=read(b"verdicts"),
        checks=read(b"checks"),
        images=read(b"images"),
        callbacks=read(b"callbacks"),
        events=read(b"events"),
    )


def is_settled(found: Found, report: Report) -> bool:
    """Whether everything that was sent has come to its end."""
    waiting = any(row["state"] in {"stored", "unverified"} for row in found.callbacks)
    wanted = any(row["state"] == "wanted" for row in found.images)
    pending = any(row["pending"] or row["streamed_at"] is None for row in found.events)
    decided = sum(row["verdict_version"] > 0 for row in found.workflows.values())
    return not (waiting or wanted or pending) and decided >= len(report.workflows)


def problems(found: Found, report: Report, malformed: tuple[Sent, ...], subscriber: Subscriber) -> list[str]:
    """Everything that is not as it should be; empty when the demo has succeeded."""
    return [
        *_door_problems(found, report, malformed),
        *(problem for played in report.workflows for problem in _workflow_problems(found, played)),
        *_event_problems(found, subscriber),
    ]


def latencies(found: Found, subscriber: Subscriber) -> tuple[float, float] | None:
    """Seconds from the first callback of a workflow to its decision at the subscriber: p50 and p95."""
    arrived = {}
    for row in sorted(found.callbacks, key=lambda row: row["received_at"], reverse=True):
        if row["state"] == "done":
            arrived[row["workflow_key"]] = row["received_at"]
    seconds = [
        (received.at - arrived[received.event["subject"]]).total_seconds()
        for received in subscriber.received
        if received.event["sequence"] == 1
    ]
    if len(seconds) < 2:  # noqa: PLR2004 - quantiles need two
        return None
    percentiles = quantiles(seconds, n=20)
    return percentiles[9], percentiles[18]


def _door_problems(found: Found, report: Report, malformed: tuple[Sent, ...]) -> Iterator[str]:
    states = [row["state"] for row in found.callbacks]
    forged = [sent for sent in report.sent if sent.post.forged]
    if report.not_kept:
        yield f"{len(report.not_kept)} genuine callbacks were not answered 200"
    if not forged or any(sent.answer != 403 for sent in forged) or states.count("refused") != len(forged):  # noqa: PLR2004
        yield "a forged source was not refused with 403 and kept as refused"
    if any(not sent.kept for sent in malformed) or states.count("parked") != len(MALFORMED):
        yield f"of {len(MALFORMED)} unreadable bodies, answered 200, {states.count('parked')} are parked"
    genuine = len(report.sent) - len(forged) + len(malformed)
    if len(states) - states.count("refused") != genuine:
        yield f"{genuine} callbacks were acknowledged, {len(states) - states.count('refused')} are stored"


def _workflow_problems(found: Found, played: Played) -> Iterator[str]:
    row, name = found.workflows.get(played.key), f"{played.family} {played.key}"
    if row is None:
        yield f"{name} has no row"
        return
    expected = played.expectation
    if row["family"] != played.family:
        yield f"{name} was taken for {row['family']}"
    if row["outcome"] != expected.outcome:
        yield f"{name} should be {expected.outcome} and is {row['outcome']}"
    if row["images_wanted"] != expected.images:
        yield f"{name} should want {expected.images} images and wants {row['images_wanted']}"
    if row["images_stored"] != expected.images and _NO_IMAGE not in played.faults:
        yield f"{name} should have {expected.images} images and has {row['images_stored']}"
    failed = {(reason["check"], reason["label"]) for reason in row["reject_reasons"]}
    if row["outcome"] != "expired" and failed != set(expected.failed_checks):
        yield f"{name} should fail {sorted(expected.failed_checks)} and fails {sorted(failed)}"
    versions = 1 if played.revised_from is None else 2
    if row["verdict_version"] != versions:
        yield f"{name} should be at version {versions} and is at {row['verdict_version']}"
    events = sum(event["workflow_key"] == played.key for event in found.events)
    if events < versions:
        yield f"{name} should have an event for each of {versions} versions and has {events}"


def _event_problems(found: Found, subscriber: Subscriber) -> Iterator[str]:
    received = {each.event["id"] for each in subscriber.received}
    emitted = {str(row["event_id"]) for row in found.events}
    if any(not each.verified for each in subscriber.received):
        yield "a delivery did not verify with the official library"
    if received != emitted:
        yield f"{len(emitted)} events were emitted, {len(received)} arrived"
    if any(row["parked"] or row["pending"] for row in found.events):
        yield "a delivery is pending or parked"
    order: dict[str, int] = {}
    for each in subscriber.received:
        subject, sequence = each.event["subject"], each.event["sequence"]
        if sequence < order.get(subject, 0):
            yield f"{subject} had event {sequence} after {order[subject]}"
        order[subject] = max(sequence, order.get(subject, 0))
