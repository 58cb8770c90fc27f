"""jumio-pipeline drift."""

import json

import click
from rich.console import Console

from deploy.commands.session import connection, settings_for
from deploy.drift import read_drift, read_totals, render_drift

# Further back than there is any row, and within what Postgres can subtract from a date.
_LONGEST_AGO = 36_500


@click.command("drift")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list, the latest first.")
@click.option("--since", "days", type=click.IntRange(1, _LONGEST_AGO), metavar="DAYS", help="Only what was seen since.")
def command(*, as_json: bool, days: int | None) -> None:
    """List what Jumio sent that this release does not know, how often, and a masked example of each."""
    with connection(settings_for("operator")) as conn:
        found, totals = read_drift(conn, days=days), read_totals(conn)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        Console().print(render_drift(found, totals))
