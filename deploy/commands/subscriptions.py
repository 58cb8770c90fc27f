"""jumio-pipeline subscriptions."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.session import Failed, connection, settings_for
from deploy.subscriptions import SubscriptionError, add, list_all, read_or_create_secret_file, remove

_WIDE = 1000


@click.group("subscriptions")
def command() -> None:
    """Who gets events as signed webhooks."""


@command.command("add")
@click.argument("url")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Holds the signing secret (whsec_...); a new one is written there if the file does not exist.",
)
@click.option("--types", help="Event types, separated by commas; without it, all of them.")
@click.option(
    "--enrich",
    help="checks (reasons, checks, steps), identity (personal data in the clear, noted in the audit trail), or both.",
)
def add_command(url: str, secret_file: Path | None, types: str | None, enrich: str | None) -> None:
    """Send events to URL from now on."""
    settings = settings_for("subscriptions")
    wanted = [part.strip() for part in types.split(",")] if types else None
    more = [part.strip() for part in enrich.split(",")] if enrich else None
    private = settings.subscriber_private_cidrs
    with connection(settings) as conn:
        try:
            secret = read_or_create_secret_file(secret_file)[0] if secret_file else None
            added = add(conn, url, keys=settings.keys, private=private, types=wanted, secret=secret, enrich=more)
        except SubscriptionError as error:
            raise Failed(str(error)) from None
    click.echo(f"subscription {added.id}")
    click.echo(f"secret {added.secret} (shown this once)" if added.generated else f"secret in {secret_file}")


@command.command("list")
def list_command() -> None:
    """Show subscribers and what waits for them."""
    with connection(settings_for("operator")) as conn:
        found = list_all(conn)
    table = Table(box=None, header_style="bold")
    for heading in ("id", "url", "types", "enriched", "since", "delivered", "pending", "parked"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        types, since = ", ".join(each.types or ["all"]), f"{each.created_at:%Y-%m-%d %H:%M}"
        more = ", ".join(each.enrich or ())
        table.add_row(
            str(each.id), each.url, types, more, since, str(each.delivered), str(each.pending), str(each.parked)
        )
    # Ids and URLs are there to be copied: whole, however narrow the terminal.
    Console(width=_WIDE).print(table)


@command.command("remove")
@click.argument("id_or_url")
def remove_command(id_or_url: str) -> None:
    """Send nothing more to a subscriber; what waits for it is cancelled."""
    with connection(settings_for("operator")) as conn:
        try:
            cancelled = remove(conn, id_or_url)
        except SubscriptionError as error:
            raise Failed(str(error)) from None
    click.echo(f"removed; {cancelled} waiting deliveries cancelled")
