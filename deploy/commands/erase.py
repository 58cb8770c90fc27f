"""jumio-pipeline erase."""

import click

from deploy.commands.session import Failed, connection, settings_for
from deploy.commands.subject import read_subject, subject_options
from deploy.erasure.erase import erase, still_elsewhere
from deploy.erasure.scrub import scrub
from deploy.erasure.subject import SubjectError
from workers.destinations.stream import stream_enabled
from workers.emit import Outlet


@click.command("erase")
@subject_options
@click.option("--reason", required=True, help="Why; kept for ever, so without the person's name.")
@click.option("--scrub", "scrubbing", is_flag=True, help="Rewrite tables, so that deleted bytes leave their files.")
def command(
    *,
    workflow: str | None,
    account: str | None,
    user_reference: str | None,
    tenant: str,
    reason: str,
    scrubbing: bool,
) -> None:
    """Delete a person's data here, have Jumio delete it, and leave a certificate that says nothing about the person."""
    subject = read_subject(workflow, account, user_reference, tenant)
    settings = settings_for("eraser")
    outlet = Outlet(source=settings.event_source, stream=stream_enabled(settings))
    with connection(settings) as conn:
        try:
            erased = erase(conn, subject, reason=reason, keys=settings.keys, outlet=outlet)
        except SubjectError as error:
            raise Failed(str(error)) from None
        click.echo(f"erased; certificate {erased.id}")
        for table, count in sorted(erased.rows.items()):
            if count:
                click.echo(f"  {count} {table.replace('_', ' ')}")
        for line in still_elsewhere(conn, erased.id):
            click.echo(line)
        if scrubbing:
            for line in scrub(conn):
                click.echo(f"scrubbed; {line}")
