"""Figures -> deploy/benchmarks/door.md, door.json and door.svg."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

COLOURS = {"a": "#888888", "b": "#0057b8", "c": "#2e8540", "d": "#b8860b", "e": "#a4343a", "f": "#6a3d9a"}
_WIDTH, _HEIGHT, _MARGIN = 640, 360, 60


@dataclass(frozen=True)
class Figure:
    """One run of one contender: requests a second, and milliseconds. `broken`: connections refused, cut or too slow."""

    letter: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    acknowledged: int
    kept: int | None
    broken: float


@dataclass(frozen=True)
class Target:
    """What the issue asks for: of one figure at so many connections, at least or at most so much."""

    text: str
    value: float
    goal: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def median(figures: Sequence[Figure], letter: str, connections: int, what: str) -> float:
    """0 where it was not measured."""
    found = [getattr(each, what) for each in figures if (each.letter, each.connections) == (letter, connections)]
    return statistics.median(found) if found else 0.0


def spread(figures: Sequence[Figure], letter: str, connections: int) -> str:
    rates = [each.rate for each in figures if (each.letter, each.connections) == (letter, connections)]
    return f"{min(rates):,.0f} to {max(rates):,.0f}" if rates else ""


def _broken(figures: Sequence[Figure], letter: str, connections: int) -> float:
    """In all runs: a median would hide what happens in one."""
    return sum(each.broken for each in figures if (each.letter, each.connections) == (letter, connections))


def targets(figures: Sequence[Figure]) -> list[Target]:
    """Those of which both sides were measured."""

    def ratio(other: str, connections: int) -> float:
        theirs = median(figures, other, connections, "rate")
        return median(figures, "b", connections, "rate") / theirs if theirs else 0.0

    wanted = [("a", 64, 0.6), ("c", 64, 2.5), ("e", 64, 15.0), ("f", 64, 20.0), ("c", 1, 1.0)]
    found = [
        Target(f"(b) to ({other}) at {connections} connections", ratio(other, connections), goal)
        for other, connections, goal in wanted
        if ratio(other, connections)
    ]
    p99 = median(figures, "b", 64, "p99_ms")
    return [*found, Target("p99 of (b) at 64 connections, ms", p99, 20.0, at_least=False)] if p99 else found


def markdown(titles: Mapping[str, str], figures: Sequence[Figure], machine: Mapping[str, str]) -> str:
    """The tables for people."""
    lines = ["# The door", "", *(f"- {name}: {value}" for name, value in machine.items()), ""]
    lines += ["Medians; the spread is of the rate, lowest to highest run. Every acknowledged row was counted.", ""]
    lines += [
        "| | connections | req/s | spread | p50 ms | p99 ms | broken | to (a) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for letter, title in titles.items():
        for connections in sorted({each.connections for each in figures if each.letter == letter}):
            rate, floor = (median(figures, each, connections, "rate") for each in (letter, "a"))
            p50, p99 = (median(figures, letter, connections, what) for what in ("p50_ms", "p99_ms"))
            to_floor = f"{rate / floor:.2f}" if floor else ""
            broken = f"{_broken(figures, letter, connections):,.0f}"
            cells = (f"{rate:,.0f}", spread(figures, letter, connections), f"{p50:.1f}", f"{p99:.1f}", broken, to_floor)
            lines.append(f"| ({letter}) {title} | {connections} | {' | '.join(cells)} |")
    lines += ["", "| target | measured | goal | |", "|---|---|---|---|"]
    for target in targets(figures):
        goal = f"{'at least' if target.at_least else 'at most'} {target.goal:g}"
        lines.append(f"| {target.text} | {target.value:.2f} | {goal} | {'met' if target.met else 'missed'} |")
    return "\n".join(lines) + "\n\n![requests a second](door.svg)\n"


def plot(titles: Mapping[str, str], figures: Sequence[Figure]) -> str:
    """Requests a second over connections, a line each."""
    connections = sorted({each.connections for each in figures})
    top = max((each.rate for each in figures), default=1.0)
    step = (_WIDTH - 2 * _MARGIN) / max(len(connections) - 1, 1)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH + 240} {_HEIGHT}" font-size="12">']
    for share in (0.0, 0.5, 1.0):
        y = _HEIGHT - _MARGIN - share * (_HEIGHT - 2 * _MARGIN)
        parts.append(f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_MARGIN - 8}" y="{y + 4:.0f}" text-anchor="end">{share * top:,.0f}</text>')
    for place, count in enumerate(connections):
        parts.append(f'<text x="{_MARGIN + place * step:.0f}" y="{_HEIGHT - _MARGIN + 20}">{count}</text>')
    for row, (letter, title) in enumerate(titles.items()):
        points = [
            (_MARGIN + place * step, _HEIGHT - _MARGIN - rate / top * (_HEIGHT - 2 * _MARGIN))
            for place, count in enumerate(connections)
            if (rate := median(figures, letter, count, "rate"))
        ]
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[letter]}" stroke-width="2"/>')
        parts.append(
            f'<text x="{_WIDTH - 40}" y="{_MARGIN + row * 20}" fill="{COLOURS[letter]}">({letter}) {title}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(folder: Path, titles: Mapping[str, str], figures: Sequence[Figure], machine: Mapping[str, str]) -> None:
    """All three files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "door.md").write_text(markdown(titles, figures, machine), encoding="utf-8")
    (folder / "door.svg").write_text(plot(titles, figures), encoding="utf-8")
    raw = {"machine": dict(machine), "figures": [asdict(each) for each in figures]}
    (folder / "door.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
