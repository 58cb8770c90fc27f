"""jumio-pipeline erase."""

import click
from psycopg import Connection

from deploy.commands.session import Failed, connection, settings_for
from deploy.commands.subject import read_subject, subject_options
from deploy.erasure.blobs import BlobsLeftError, delete_left
from deploy.erasure.elsewhere import wait_elsewhere
from deploy.erasure.erase import erase
from deploy.erasure.scrub import scrub, scrub_stream
from deploy.erasure.spools import Aside, Unread
from deploy.erasure.subject import Subject, SubjectError
from schemas.settings import Settings
from workers.destinations.kinds import enabled_kinds
from workers.emit import Outlet
from workers.vault.vaults import Vaults


@click.command("erase")
@subject_options
@click.option("--reason", default="", help="Why; kept for ever, so without the person's name.")
@click.option(
    "--wait",
    default=10.0,
    show_default=True,
    help="Seconds that the line may take to tell Jumio, and a store of images to answer.",
)
@click.option(
    "--damaged",
    type=click.Choice(["leave", "delete"]),
    help="What becomes of damaged spool lines that nobody can read; without it they stop the erasure.",
)
@click.option(
    "--scrub",
    "scrubbing",
    is_flag=True,
    help="Then rewrite tables, so that deleted bytes leave the files; also alone.",
)
def command(
    *,
    workflow: str | None,
    account: str | None,
    user_reference: str | None,
    tenant: str,
    reason: str,
    wait: float,
    damaged: Unread | None,
    scrubbing: bool,
) -> None:
    """Delete a person's data here, have Jumio delete it, and leave a certificate that says nothing about the person."""
    alone = scrubbing and not (workflow or account or user_reference)
    subject = None if alone else read_subject(workflow, account, user_reference, tenant)
    settings = settings_for("eraser")
    with connection(settings) as conn:
        problems = []
        if subject:
            aside = Aside(settings.spool_dir, damaged or "refuse")
            problems = _erase(conn, subject, settings, reason=reason, wait=wait, aside=aside)
        lines = [*scrub(conn), scrub_stream(settings)] if scrubbing else []
    for line in filter(None, lines):
        click.echo(f"scrubbed; {line}")
    if problems:
        raise Failed("\n".join(problems))


def _erase(
    conn: Connection, subject: Subject, settings: Settings, *, reason: str, wait: float, aside: Aside
) -> list[str]:
    """What is not done, and will not be by itself."""
    outlet = Outlet(source=settings.event_source, destinations=enabled_kinds(settings))
    vaults = Vaults(settings)
    try:
        erased = erase(conn, subject, reason=reason, keys=settings.keys, outlet=outlet, vaults=vaults, aside=aside)
    except SubjectError as error:
        raise Failed(str(error)) from None
    except OSError as error:
        raise Failed(
            f"damaged lines in SPOOL_DIR cannot be read or taken out ({type(error).__name__}), so nothing was erased; "
            "run it as the user of the receiver"
        ) from None
    click.echo(f"erased; certificate {erased.id}")
    for table, count in sorted(erased.rows.items()):
        if count:
            click.echo(f"  {table.replace('_', ' ')}: {count}")
    if erased.unsearched:
        click.echo(f"NOT complete: {erased.unsearched} damaged spool lines or files of them were not searched")
    problems = []
    try:
        delete_left(conn, erased.blobs, vaults=vaults, seconds=wait)
    except BlobsLeftError as error:
        problems.append(str(error))
    left = wait_elsewhere(conn, erased.id, subject.kind, seconds=wait)
    for line in left.to_come:
        click.echo(line)
    return problems + left.given_up
