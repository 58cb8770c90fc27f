"""The tables at the end of the demo."""

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.demo.check import Found, latencies
from deploy.demo.subscriber import Subscriber
from deploy.simulator.report import Report
from deploy.simulator.run import Simulator
from deploy.simulator.stats import LEGACY


def show_results(console: Console, found: Found, report: Report, simulator: Simulator, subscriber: Subscriber) -> None:
    """What was decided, why not passed, what was stored, emitted, refused and parked, and how long it took."""
    _show(console, "Decided (compliance.workflows)", ("family", "outcome", "label", "workflows"), _decided(found))
    _show(console, "What spoke against (compliance.checks)", ("check", "outcome", "label", "workflows"), _failed(found))
    _show(console, "Images (compliance.images)", ("state", "media type", "images", "bytes", "reason"), _images(found))
    _show(console, "Events (compliance.events)", ("type", "emitted", "delivered", "streamed"), _events(found))
    _show(console, "Set aside (compliance.callbacks)", ("state", "source", "reason", "callbacks"), _aside(found))
    struck = ", ".join(f"{name} {count}" for name, count in sorted(simulator.faults.struck.items()))
    console.print(f"Jumio misbehaved (requests struck): {struck}", style="dim")
    stats = simulator.stats
    console.print(
        f"Most reads in any second: {stats.highest_rate()} of KYX, {stats.highest_rate(*LEGACY)} of the older families",
        style="dim",
    )
    verified = sum(each.verified for each in subscriber.received)
    console.print(
        f"Subscriber: {len(subscriber.received)} deliveries, {verified} verified with standardwebhooks, "
        f"{len(subscriber.turned_away)} turned away once with 503 and delivered again"
    )
    answered = Counter(str(sent.answer) for sent in report.sent)
    console.print("Callbacks answered: " + ", ".join(f"{count} x {status}" for status, count in answered.most_common()))
    times = latencies(found, subscriber)
    if times:
        console.print(f"From callback to event at the subscriber: p50 {times[0]:.2f} s, p95 {times[1]:.2f} s")


def _show(console: Console, title: str, headings: tuple[str, ...], lines: list[tuple[Any, ...]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, header_style="cyan")
    for line in lines:
        table.add_row(*(str(cell if cell is not None else "") for cell in line))
    console.print(table, "")


def _decided(found: Found) -> list[tuple[Any, ...]]:
    counts = Counter((row["family"], row["outcome"], row["label"]) for row in found.workflows.values())
    return [(*words, count) for words, count in sorted(counts.items(), key=str)]


def _failed(found: Found) -> list[tuple[Any, ...]]:
    failed = {
        (row["capability"], row["outcome"], row["label"], row["workflow_key"])
        for row in found.checks
        if row["outcome"] in {"rejected", "warning"}
    }
    counts = Counter(key[:3] for key in failed)
    return [(*key, count) for key, count in sorted(counts.items())]


def _images(found: Found) -> list[tuple[Any, ...]]:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in found.images:
        reason = row["flag"] or row["reason"]
        groups.setdefault((row["state"], row["media_type"], reason), []).append(row["bytes"] or 0)
    return [
        (state, media_type, len(sizes), f"{sum(sizes):,}", reason)
        for (state, media_type, reason), sizes in sorted(groups.items(), key=str)
    ]


def _events(found: Found) -> list[tuple[Any, ...]]:
    types = sorted({row["type"] for row in found.events})
    by_type = {name: [row for row in found.events if row["type"] == name] for name in types}
    return [
        (name, len(rows), sum(row["delivered"] for row in rows), sum(row["streamed_at"] is not None for row in rows))
        for name, rows in by_type.items()
    ]


def _aside(found: Found) -> list[tuple[Any, ...]]:
    counts = Counter(
        (row["state"], str(row["source_ip"]), row["reason"])
        for row in found.callbacks
        if row["state"] in {"refused", "parked"}
    )
    return [(*key, count) for key, count in sorted(counts.items())]
