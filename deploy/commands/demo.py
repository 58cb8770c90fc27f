"""jumio-pipeline demo."""

import sys
from pathlib import Path

import click

from deploy.commands.session import Failed
from deploy.demo.run import run_demo
from deploy.embedded.services import EmbeddedRefusedError
from deploy.processes import ProcessDiedError
from deploy.up import StartError


@click.command("demo")
@click.option("--workflows", default=60, show_default=True, type=click.IntRange(50, 2000))
@click.option("--seed", default=2026, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep data and logs in this folder.")
def command(workflows: int, seed: int, keep: Path | None) -> None:
    """Show the whole line with a simulated Jumio, and check every result."""
    try:
        sys.exit(run_demo(workflows=workflows, seed=seed, keep=keep))
    except (EmbeddedRefusedError, StartError, ProcessDiedError) as error:
        raise Failed(str(error)) from None
