"""jumio-pipeline requeue."""

from uuid import UUID

import click

from deploy.commands.address import ADDRESS
from deploy.commands.session import Failed, connection, settings_for
from deploy.requeue import count_overtaken, requeue_callback, requeue_parked, requeue_refused
from receiver.source import Address


@click.command("requeue")
@click.option("--callback", "callback_id", type=click.UUID, help="One callback, parked or refused.")
@click.option("--parked", is_flag=True, help="Everything that is parked: callbacks, images, deliveries, deletions.")
@click.option("--reason", help="With --parked: only what is parked for this reason, for example jumio_refused.")
@click.option("--refused", is_flag=True, help="Callbacks of sources that were refused: you vouch for them.")
@click.option("--from", "address", type=ADDRESS, help="With --refused: only those of this address.")
def command(
    *, callback_id: UUID | None, parked: bool, reason: str | None, refused: bool, address: Address | None
) -> None:
    """Put parked or refused rows back on the line."""
    if sum((callback_id is not None, parked, refused)) != 1:
        raise click.UsageError("say one of --callback ID, --parked or --refused")
    if (reason and not parked) or (address and not refused):
        raise click.UsageError("--reason goes with --parked, --from goes with --refused")
    overtaken = 0
    with connection(settings_for("operator")) as conn:
        if callback_id is not None:
            counts = requeue_callback(conn, callback_id)
        elif parked:
            counts = requeue_parked(conn, reason)
            overtaken = count_overtaken(conn, reason)
        else:
            counts = requeue_refused(conn, address)
    click.echo(", ".join(f"{rows} {table}" for table, rows in counts.items()) + " back on the line")
    if overtaken:
        click.echo(
            f"{overtaken} deliveries stay parked: their subscribers have later events of the same workflows. "
            "To send one all the same, marked as a replay: jumio-pipeline replay --event ID; "
            "they are in: jumio-pipeline deliveries --state parked"
        )
    if callback_id is not None and not counts["callbacks"]:
        raise Failed("that callback is neither parked nor refused; see: SELECT * FROM compliance.callbacks")
