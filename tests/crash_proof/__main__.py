"""`python -m tests.crash_proof`: the proof that nothing acknowledged is lost, or the seed with which it was."""

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from schemas.logs import configure_logs
from tests.crash_proof.compare import SETTLE_SECONDS
from tests.crash_proof.play import play
from tests.crash_proof.table import show


@click.command()
@click.option("--rounds", default=20, show_default=True, help="How many faults, one after another.")
@click.option("--seed", type=int, help="The order of faults and all else that is drawn; else a new one.")
@click.option("--rate", default=10.0, show_default=True, help="Callbacks a second.")
@click.option("--fault", "names", multiple=True, help="These faults, in this order, instead of all.")
@click.option("--times", default=1, show_default=True, help="How often those, one after another.")
@click.option("--settle", default=SETTLE_SECONDS, show_default=True, help="Seconds until what still waits is stuck.")
def main(*, rounds: int, seed: int | None, rate: float, names: tuple[str, ...], times: int, settle: float) -> None:
    """Drive a load through the real processes, hurt them, and compare what was acknowledged with what came of it."""
    # Wide enough for a table where nobody watches.
    console = Console(width=None if sys.stdout.isatty() else 140)
    seed = random.randrange(1_000_000) if seed is None else seed
    names *= times
    console.print(f"seed {seed}, {len(names) or rounds} rounds, {rate:g} callbacks a second")
    folder = Path(tempfile.mkdtemp(prefix="jumio-crash-proof-logs-"))
    started = time.monotonic()
    with (folder / "harness.log").open("w", encoding="utf-8") as log:
        configure_logs("json", stream=log)
        # The logs' own hook would hide what ends this program.
        sys.excepthook = sys.__excepthook__
        played = play(
            rounds=rounds, seed=seed, rate=rate, names=names, settle_seconds=settle, logs=folder, say=console.print
        )
    show(console, played)
    console.print(f"{time.monotonic() - started:.0f} s")
    if played.problems:
        console.print(f"the logs are in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
