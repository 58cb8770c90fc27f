"""jumio-pipeline status."""

import json
import sys

import click
from rich.console import Console

from deploy.commands.session import connection, settings_for
from deploy.status import read_status, render_status


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--check", is_flag=True, help="Exit 1 when something is not well.")
def command(*, as_json: bool, check: bool) -> None:
    """Say what waits, what is parked and why, how old the allow-list is, and what to do."""
    with connection(settings_for("operator")) as conn:
        status = read_status(conn)
    if as_json:
        click.echo(json.dumps(status, indent=2))
    else:
        Console(markup=False).print(render_status(status))
    if check and status["trouble"]:
        sys.exit(1)
