"""`python -m tests.bench`: the door against its floor, and against what one would write instead; rows counted."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click
import psycopg
from rich.console import Console
from rich.markdown import Markdown

from deploy.embedded.services import ServiceUrls, embedded_services
from deploy.migrate import migrate
from schemas.logs import configure_logs
from tests.bench.contenders import CONTENDERS, Contender, load_environment, obstacle, prepare, running
from tests.bench.machine import machine
from tests.bench.quiet import Quiet
from tests.bench.report import Figure, markdown, write

RESULTS = Path("deploy/benchmarks")
_SCRIPT = "tests/bench/post.lua"
# Longer than any of them takes for one request, when nobody sends another.
_REST_SECONDS = 0.3


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=5, show_default=True, help="Of each run, after a second to warm up.")
@click.option("--connections", default="1,16,64,256", show_default=True)
@click.option("--only", default="a,b,c,d,e,f", show_default=True)
@click.option("--patience", default=600, show_default=True, help="Seconds that waiting for a quiet machine may take.")
@click.option("--write/--no-write", "writes", default=True, help="Write deploy/benchmarks.")
def main(*, rounds: int, seconds: int, connections: str, only: str, patience: int, writes: bool) -> None:
    """Measure; ends with 1 where an acknowledged row is missing. A target that is missed is shown, and no failure."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk makes the load, as it costs least: apt-get install wrk (or brew install wrk)")
    configure_logs("json", stream=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
    # The logs' own hook would hide what ends this program.
    sys.excepthook = sys.__excepthook__
    chosen = [each for each in CONTENDERS if each.letter in only.split(",")]
    for each in chosen:
        if why := obstacle(each):
            raise SystemExit(f"({each.letter}) {each.title}: {why}")
    counts = [int(count) for count in connections.split(",")]
    with tempfile.TemporaryDirectory(prefix="jumio-pipeline-bench-") as name, Quiet(patience) as quiet:
        Path(name).chmod(0o711)
        figures, measured = measure(Path(name), chosen, quiet, rounds=rounds, seconds=seconds, counts=counts)
    measured["quiet"] = str(quiet)
    measured["command"] = f"python -m tests.bench --rounds {rounds} --seconds {seconds} --connections {connections}"
    measured["command"] += f" --patience {patience}"
    titles = {each.letter: each.title for each in chosen}
    Console(width=None if sys.stdout.isatty() else 140).print(Markdown(markdown(titles, figures, measured)))
    if writes:
        write(RESULTS, titles, figures, measured)


def measure(
    folder: Path, chosen: list[Contender], quiet: Quiet, *, rounds: int, seconds: int, counts: list[int]
) -> tuple[list[Figure], dict[str, str]]:
    """Every contender at every number of connections, then all of it again."""
    figures = []
    with embedded_services(folder, environment="development", database=True, broker=True) as urls:
        with psycopg.connect(urls.database_url, autocommit=True) as conn:
            migrate(conn)
            [(postgres,)] = conn.execute("SHOW server_version").fetchall()
        for each in chosen:
            prepare(urls, each)
        for number in range(1, rounds + 1):
            for count in counts:
                for each in chosen:
                    figure = quiet.alone(each.letter, partial(run, each, urls, folder / "log", count, seconds))
                    click.echo(
                        f"round {number}  ({each.letter})  {count:4} connections  {figure.rate:8,.0f}/s", err=True
                    )
                    figures.append(figure)
        return figures, {**machine(), "Postgres": postgres}


def run(contender: Contender, urls: ServiceUrls, log: Path, connections: int, seconds: int) -> Figure:
    """A fresh server, a second of warming up, then what counts; ends the bench where an acknowledged row is missing."""
    port = free_port()
    _empty(urls, contender)
    with running(contender, urls, port, log):
        _load(contender, port, connections, 1)
        before = _kept_at_rest(urls, contender)
        found = _load(contender, port, connections, seconds)
    # The server has ended, and what it was still doing with it.
    after = _kept(urls, contender)
    acknowledged = found["requests"] - found["refused"]
    kept = None if before is None or after is None else after - before
    rate = acknowledged / found["seconds"]
    figure = Figure(
        contender.letter, connections, rate, found["p50_ms"], found["p99_ms"], acknowledged, kept, found["broken"]
    )
    # Here, so that no run is repeated, or left out, that lost something.
    if kept is not None and kept < acknowledged:
        raise SystemExit(f"acknowledged and not there: {figure}")
    return figure


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _load(contender: Contender, port: int, connections: int, seconds: int) -> Mapping[str, float]:
    url = f"http://127.0.0.1:{port}{contender.path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", _SCRIPT, url]
    answer = subprocess.run(command, env=load_environment(contender), capture_output=True, text=True, check=True)
    [line] = [line for line in answer.stdout.splitlines() if line.startswith("BENCH ")]
    found: Mapping[str, float] = json.loads(line.removeprefix("BENCH "))
    if found["requests"] == found["refused"]:
        raise SystemExit(f"({contender.letter}) refuses every request")
    return found


def _empty(urls: ServiceUrls, contender: Contender) -> None:
    if contender.kept:
        with psycopg.connect(urls.database_url, autocommit=True) as conn:
            conn.execute(f"TRUNCATE {contender.kept.rpartition(' ')[2]} CASCADE".encode())


def _kept_at_rest(urls: ServiceUrls, contender: Contender) -> int | None:
    """Once it stands still: what was under way when warming up ended would hide as many rows that are lost later."""
    before, now = None, _kept(urls, contender)
    while now != before:
        time.sleep(_REST_SECONDS)
        before, now = now, _kept(urls, contender)
    return now


def _kept(urls: ServiceUrls, contender: Contender) -> int | None:
    if not contender.kept:
        return None
    with psycopg.connect(urls.database_url) as conn:
        [(count,)] = conn.execute(contender.kept.encode()).fetchall()
        return int(count)


if __name__ == "__main__":
    main()
