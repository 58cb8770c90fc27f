"""jumio-pipeline replay."""

from datetime import UTC, datetime
from uuid import UUID

import click

from deploy.commands.session import Failed, connection, settings_for
from deploy.deliveries import Chosen, replay
from workers.destinations.kinds import KINDS

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


@click.command("replay")
@click.option("--event", type=click.UUID, help="One event.")
@click.option("--workflow", help="Every event about one workflow, in its order.")
@click.option("--since", type=click.DateTime(_TIMES), help="Every event since then; UTC unless it says otherwise.")
@click.option("--subscription", type=click.UUID, help="Only to this subscriber; alone: everything that it wants.")
@click.option("--destination", type=click.Choice([kind.name for kind in KINDS]), help="Not to subscribers, but there.")
def command(
    *,
    event: UUID | None,
    workflow: str | None,
    since: datetime | None,
    subscription: UUID | None,
    destination: str | None,
) -> None:
    """Send events again, each with the id that it has, to the subscribers that want them."""
    if not any((event, workflow, since, subscription)):
        raise click.UsageError("say what: --event ID, --workflow KEY, --since TIME or --subscription ID")
    if subscription and destination:
        raise click.UsageError("--subscription and --destination exclude each other")
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    settings = settings_for("operator")
    if destination == "stream" and not settings.event_stream:
        raise Failed("the stream is switched off: EVENT_STREAM is empty")
    if destination == "exchange" and not settings.event_exchange_url.get_secret_value():
        raise Failed("the exchange is switched off here: set EVENT_EXCHANGE_URL, as for the workers")
    with connection(settings) as conn:
        count = replay(conn, Chosen(event, workflow, subscription, since, destination))
    click.echo(f"{count} deliveries go out again; see: jumio-pipeline deliveries")
