"""jumio-pipeline receiver."""

from pathlib import Path

import click

from deploy.commands.session import settings_for
from receiver.server import run


@click.command("receiver")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Where to write the addresses once it listens.")
def command(ready_file: Path | None) -> None:
    """Take callbacks: one process."""
    run(settings_for("receiver"), ready_file=ready_file)
