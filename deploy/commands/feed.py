"""jumio-pipeline feed."""

from pathlib import Path

import click

from deploy.commands.session import settings_for
from feed.server import run


@click.command("feed")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Where to write the address once it listens.")
def command(ready_file: Path | None) -> None:
    """Answer consumers that ask for events: one process, as many as you like."""
    run(settings_for("feed"), ready_file=ready_file)
