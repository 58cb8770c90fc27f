"""How long people wait for answers among a million workflows: `make measure-compliance`.

Invents the workflows in a database of its own under the folder for temporary files, or measures those that are in
DATABASE_URL; each look-up in the role that people ask it in. Fails where 95 of 100 answers of one do not fit its bound.
"""

import math
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from deploy.audit import verify
from deploy.embedded.services import embedded_services
from deploy.embedded.wheels import postgres_programs
from deploy.generate import generate
from deploy.migrate import migrate
from schemas.settings import inherited_environment
from schemas.sql.queries import query

# A look-up is felt as at once; a question, a search for a likeness, and thousands of rows with counts of their images
# as an answer. Whoever verifies the trail waits.
LOOKUP_MS = 50.0
QUESTION_MS = 1000.0
VERIFY_MS = 60_000.0
# Who asks, what, and how long it may take.
_ASKED = (
    (
        "compliance_analyst",
        (
            *("workflow_by_key", "workflows_by_account", "workflows_by_user", "workflows_by_customer"),
            *("workflows_of_an_hour", "outcomes_of_a_day", "workflows_completed_in_an_hour"),
            *("workflows_started_in_an_hour", "workflows_seen_in_an_hour", "verdicts_by_workflow"),
            *("evidence_by_workflow", "verdicts_of_an_hour", "verdicts_valid_in_an_hour", "evidence_of_an_hour"),
            *("verdict_as_of", "checks_by_workflow", "steps_by_workflow", "identities_by_workflow"),
            *("images_by_workflow", "images_stored_in_an_hour", "images_settled_in_an_hour", "callbacks_by_workflow"),
            *("callbacks_of_an_hour", "callbacks_sent_in_an_hour", "callbacks_settled_in_an_hour"),
            *("events_by_workflow", "events_of_an_hour", "deliveries_by_event", "deliveries_by_workflow"),
            *("deliveries_settled_in_an_hour", "timeline_of_workflow", "holds_that_stand", "erasure_of_workflow"),
        ),
        LOOKUP_MS,
    ),
    (
        "compliance_auditor",
        ("trail_by_workflow", "trail_of_an_hour", "trail_of_late", "erasures_of_a_quarter"),
        LOOKUP_MS,
    ),
    ("compliance_investigator", ("reveal_identity", "find_by_number", "find_by_name", "find_by_birth"), LOOKUP_MS),
    ("compliance_analyst", ("workflows_of_a_day", "latest_workflows"), QUESTION_MS),
    ("compliance_investigator", ("find_close", "find_close_by_name"), QUESTION_MS),
)
LOOKUPS = tuple(name for _, names, _ in _ASKED for name in names)
# Of many workflows each look-up is asked about, each one more often than once, so that what is read first is not all.
# Three times: a search shows whom it found in the third call.
_SAMPLES = 25
_REPEATS = 3
_AS_ANALYST = "-c role=compliance_analyst"
_TIME = re.compile(r"^Time: ([0-9.]+) ms", re.MULTILINE)


@dataclass(frozen=True)
class Timing:
    """What was asked, how long half, 95 of 100 and all of the answers take, in milliseconds, and how long they may."""

    name: str
    median: float
    p95: float
    slowest: float
    bound: float

    @property
    def fits(self) -> bool:
        return self.p95 <= self.bound


@click.command()
@click.option("--workflows", default=1_000_000, show_default=True, type=click.IntRange(100, 10_000_000))
def main(workflows: int) -> None:
    """Print the time that every look-up and every saved question takes; exit 1 where one is too long."""
    with _database(workflows) as url:
        timings = [*lookup_timings(url), *question_timings(url, questions()), verify_timing(url)]
    Console(width=110).print(_table(timings))
    slow = [timing.name for timing in timings if not timing.fits]
    click.echo(f"too slow: {', '.join(slow)}" if slow else "all within their bounds")
    sys.exit(1 if slow else 0)


def lookup_timings(url: str, count: int = _SAMPLES) -> Iterator[Timing]:
    """Each look-up, for workflows of any day."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        samples = conn.execute(query("lookups", "samples"), {"count": count}).fetchall()
    for role, names, bound in _ASKED:
        with psycopg.connect(url, autocommit=True, row_factory=dict_row, options=f"-c role={role}") as conn:
            for name in names:
                times = [_lookup_ms(conn, name, sample) for sample in samples for _ in range(_REPEATS)]
                yield _timing(name, times, bound)


def question_timings(url: str, paths: Sequence[Path]) -> Iterator[Timing]:
    """Each saved question with its defaults, by psql's own clock."""
    for path in paths:
        yield _timing(path.name, [_question_ms(url, path) for _ in range(1 + _REPEATS)][1:], QUESTION_MS)


def verify_timing(url: str) -> Timing:
    """The whole audit trail, once."""
    with psycopg.connect(url, autocommit=True, options="-c role=compliance_auditor") as conn:
        started = time.perf_counter()
        wrong = verify(conn).wrong
        took = (time.perf_counter() - started) * 1000
    if wrong:
        raise click.ClickException(f"the audit trail is not whole: {wrong[0]}")
    return _timing("audit verify", [took], VERIFY_MS)


def questions() -> list[Path]:
    """The files, by name."""
    return sorted(Path(str(files("deploy"))).joinpath("questions").glob("*.sql"))


def ask(url: str, path: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run a saved question as an analyst does: with plain psql."""
    psql = shutil.which("psql") or str(postgres_programs(None) / "psql")
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password", ""))
    where = make_conninfo("", **parts)
    command = [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={where}", *options, f"--file={path}"]
    return subprocess.run(  # noqa: S603  psql, and our own file
        command,
        env={**inherited_environment(), "PGPASSWORD": password, "PGOPTIONS": _AS_ANALYST, "PGTZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def _database(workflows: int) -> Iterator[str]:
    given = inherited_environment().get("DATABASE_URL")
    if given:
        yield given
        return
    with TemporaryDirectory(prefix="jumio-pipeline-measure-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with embedded_services(folder, broker=False) as urls:
            with psycopg.connect(urls.database_url, autocommit=True) as conn:
                migrate(conn)
                for step, seconds in generate(conn, workflows):
                    click.echo(f"{seconds:7.1f} s  {step}", err=True)
            yield urls.database_url


def _lookup_ms(conn: Connection[dict[str, Any]], name: str, sample: dict[str, Any]) -> float:
    started = time.perf_counter()
    conn.execute(query("lookups", name), sample).fetchall()
    return (time.perf_counter() - started) * 1000


def _question_ms(url: str, path: Path) -> float:
    asked = ask(url, path, "--command=\\timing on", "--output=/dev/null")
    if asked.returncode:
        raise click.ClickException(f"{path.name}: {asked.stderr.strip()}")
    return sum(float(found) for found in _TIME.findall(asked.stdout))


def _timing(name: str, times: Sequence[float], bound: float) -> Timing:
    p95 = sorted(times)[math.ceil(0.95 * len(times)) - 1]
    return Timing(name, statistics.median(times), p95, max(times), bound)


def _table(timings: Sequence[Timing]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("asked", "median ms", "p95 ms", "slowest ms", "bound ms", ""):
        table.add_column(heading, justify="left" if heading == "asked" else "right")
    for timing in timings:
        figures = (f"{figure:,.1f}" for figure in (timing.median, timing.p95, timing.slowest, timing.bound))
        table.add_row(timing.name, *figures, "" if timing.fits else "TOO SLOW")
    return table


if __name__ == "__main__":
    main()
