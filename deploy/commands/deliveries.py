"""jumio-pipeline deliveries."""

import json
from uuid import UUID

import click

from deploy.commands.session import connection, print_wide, settings_for
from deploy.deliveries import STATES, Chosen, read_deliveries, render_deliveries


@click.command("deliveries")
@click.option("--subscription", type=click.UUID, help="Only those to this subscriber.")
@click.option("--event", type=click.UUID, help="Only those of this event.")
@click.option("--workflow", help="Only those about this workflow.")
@click.option("--state", type=click.Choice(STATES))
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For programs: a list, the newest event first.")
def command(
    *,
    subscription: UUID | None,
    event: UUID | None,
    workflow: str | None,
    state: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show what was sent to whom: state, tries, the latest status, when it is tried next and what it waits for."""
    with connection(settings_for("operator")) as conn:
        found = read_deliveries(conn, Chosen(event, workflow, subscription), state=state, most=limit)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_wide(render_deliveries(found))
