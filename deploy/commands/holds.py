"""jumio-pipeline holds."""

import click
from rich.table import Table

from deploy.commands.session import operating, print_wide
from deploy.commands.subject import read_subject, subject_options, warn_of_none
from deploy.erasure.subject import SubjectError
from deploy.holds import list_all, place, release


@click.group("holds")
def command() -> None:
    """Legal holds: while one stands, nothing of its subject is deleted."""


@command.command("place")
@subject_options
@click.option("--reason", required=True, help="Why; kept for ever, so without the person's name.")
def place_command(
    workflow: str | None, account: str | None, user_reference: str | None, tenant: str, reason: str
) -> None:
    """Let nothing of a subject be deleted from now on, not even what is yet to come."""
    subject = read_subject(workflow, account, user_reference, tenant)
    with operating(SubjectError) as conn:
        workflows = place(conn, subject, reason=reason)
    click.echo(f"on hold: {workflows} workflows now, and what is yet to come")
    warn_of_none(subject, workflows)


@command.command("release")
@subject_options
@click.option("--reason", required=True, help="Why; kept for ever, so without the person's name.")
def release_command(
    workflow: str | None, account: str | None, user_reference: str | None, tenant: str, reason: str
) -> None:
    """End a hold; what is due is deleted by the next run of retention."""
    subject = read_subject(workflow, account, user_reference, tenant)
    with operating(SubjectError) as conn:
        release(conn, subject, reason=reason)
    click.echo("released")


@command.command("list")
def list_command() -> None:
    """Show the holds that stand."""
    with operating() as conn:
        found = list_all(conn)
    table = Table(box=None, header_style="bold")
    for heading in ("tenant", "kind", "subject", "workflows", "since", "by", "reason"):
        table.add_column(heading, no_wrap=True)
    for row in found:
        since, workflows = f"{row['placed_at']:%Y-%m-%d %H:%M}", str(row["workflows"])
        table.add_row(row["tenant"], row["kind"], row["subject"], workflows, since, row["placed_by"], row["reason"])
    print_wide(table)
