"""`python -m tests.bench.line`: callback to decision, workflows a second, and what limits it.

A Jumio in a process of its own that answers after 20 ms and sets no budget; the whole line on embedded services.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import psycopg

from deploy.up import fixed_bind, running_line
from schemas.logs import configure_logs
from schemas.settings import inherited_environment
from tests.bench.machine import machine

RESULTS = Path("deploy/benchmarks")
_LATENCY_SECONDS = 0.02
_LONGEST_SECONDS = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")
# What a command line says about whose processor time it is; the first that fits counts.
_OWNERS = {
    "celery": "workers", "relay": "relay", "receiver": "receiver", "simulate": "Jumio (simulated)",
    "postgres": "Postgres", "valkey": "Valkey",
}  # fmt: skip
_PROGRESS = """
    SELECT (SELECT count(*) FROM compliance.verdicts),
        (SELECT count(*) FROM compliance.images WHERE state <> 'wanted'),
        (SELECT count(*) FROM compliance.images WHERE state = 'wanted'),
        (SELECT extract(epoch FROM max(recorded_at) - (SELECT min(received_at) FROM compliance.callbacks))
            FROM compliance.verdicts)::float,
        (SELECT extract(epoch FROM max(stored_at) - (SELECT min(received_at) FROM compliance.callbacks))
            FROM compliance.images)::float
"""


@dataclass(frozen=True)
class Throughput:
    """One run. Processor time in cores, from the first callback to the last image."""

    processes: int
    workflows: int
    images: int
    decided_per_second: float
    finished_per_second: float
    cores: Mapping[str, float]

    @property
    def limit(self) -> str:
        """The cores in use against those there are."""
        used, there = sum(self.cores.values()), os.cpu_count() or 1
        largest = max(self.cores, key=lambda name: self.cores[name])
        if used > there * 0.85:
            return f"processors: {used:.1f} of {there} in use, most by {largest}"
        return f"waiting: {used:.1f} of {there} processors in use; more worker processes would help"


@click.command()
@click.option("--workflows", default=400, show_default=True)
@click.option("--processes", default="2,8,16", show_default=True, help="Worker processes, one run each.")
@click.option("--write/--no-write", "writes", default=True, help="Write deploy/benchmarks.")
def main(workflows: int, processes: str, writes: bool) -> None:  # noqa: FBT001 - an option
    """Measure; ends with 1 where a workflow is not decided."""
    configure_logs("json", stream=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
    # The logs' own hook would hide what ends this program.
    sys.excepthook = sys.__excepthook__
    found = [run(int(count), workflows) for count in processes.split(",")]
    text = markdown(found, command=f"python -m tests.bench.line --workflows {workflows} --processes {processes}")
    click.echo(text)
    if writes:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "line.md").write_text(text, encoding="utf-8")
        (RESULTS / "line.json").write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")


def run(processes: int, workflows: int) -> Throughput:
    """A line of its own, from empty to every image stored."""
    with tempfile.TemporaryDirectory(prefix="jumio-pipeline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        bind = fixed_bind("127.0.0.1:0")
        with simulated(folder, f"http://{bind}/callbacks/default", workflows) as jumio:
            environment = {
                **inherited_environment(),
                **jumio,
                "BIND": bind,
                "METRICS_BIND": "127.0.0.1:0",
                "JUMIO_RETRIEVAL_RATE": "1000/s",
                "WORKER_PROCESSES": str(processes),
            }
            with running_line(folder, environment, logs=folder) as line:
                before = processor_seconds()
                began = time.monotonic()
                with psycopg.connect(line.services.database_url, autocommit=True) as conn:
                    images, decided, finished = _until_done(conn, workflows)
                elapsed = time.monotonic() - began
                after = processor_seconds()
    cores = {name: round((after[name] - before[name]) / elapsed, 2) for name in after}
    return Throughput(processes, workflows, images, workflows / decided, workflows / finished, cores)


@contextmanager
def simulated(folder: Path, callback_url: str, workflows: int) -> Iterator[dict[str, str]]:
    """A Jumio that posts all its callbacks as soon as the door is open."""
    env_file = folder / "jumio.env"
    command = [
        *(sys.executable, "-m", "deploy", "simulate", "--serve", "--seed", "bench", "--rate", "1000"),
        *("--latency", str(_LATENCY_SECONDS), "--workflows", str(workflows)),
        *("--callback-url", callback_url, "--env-file", str(env_file)),
    ]
    with (folder / "simulator.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        while not env_file.exists():
            time.sleep(0.1)
        try:
            yield dict(part.split("=", 1) for part in shlex.split(env_file.read_text()))
        finally:
            process.terminate()


def processor_seconds() -> Counter[str]:
    """What the processes of this bench have used so far, their ended children included, by whose they are."""
    found = {int(folder.name): process for folder in Path("/proc").glob("[0-9]*") if (process := _look(folder))}
    used: Counter[str] = Counter()
    for command, parent, ticks in found.values():
        owner = next((owner for word, owner in _OWNERS.items() if word in command), None)
        if owner and _is_ours(parent, found):
            used[owner] += ticks / _TICKS
    return used


def _look(folder: Path) -> tuple[str, int, int] | None:
    """Command line, parent and ticks of a process; None where it has ended."""
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return command, int(fields[1]), sum(map(int, fields[11:15]))


def _is_ours(pid: int, found: Mapping[int, tuple[str, int, int]]) -> bool:
    while pid in found:
        if pid == os.getpid():
            return True
        pid = found[pid][1]
    return False


def markdown(found: list[Throughput], *, command: str) -> str:
    """The table for people."""
    lines = ["# The line: callback to decision", "", *(f"- {name}: {value}" for name, value in machine().items())]
    lines += [
        f"- command: {command}",
        f"- Jumio answers after {_LATENCY_SECONDS * 1000:.0f} ms, no budget; of a workflow: details, steps, images",
        "",
        "| worker processes | workflows | images | decided/s | with all images/s | cores in use | what limits it |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found:
        cores = ", ".join(f"{name} {used:.2f}" for name, used in sorted(each.cores.items()) if used >= 0.01)
        rates = f"{each.decided_per_second:.1f} | {each.finished_per_second:.1f}"
        lines.append(f"| {each.processes} | {each.workflows} | {each.images} | {rates} | {cores} | {each.limit} |")
    return "\n".join(lines) + "\n"


def _until_done(conn: psycopg.Connection, workflows: int) -> tuple[int, float, float]:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline:
        [(verdicts, images, wanted, decided, finished)] = conn.execute(_PROGRESS).fetchall()
        if verdicts >= workflows and not wanted:
            return images, decided, finished
        time.sleep(0.2)
    raise SystemExit(
        f"{verdicts} of {workflows} workflows decided, {wanted} images wanted after {_LONGEST_SECONDS:.0f} s"
    )


if __name__ == "__main__":
    main()
