"""jumio-pipeline retention."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.session import Failed, operating, settings_for
from deploy.commands.subject import read_subject, subject_options, warn_of_none
from deploy.erasure.blobs import BlobsLeftError
from deploy.erasure.subject import SubjectError
from deploy.retention.policy import PolicyError, read_policy
from deploy.retention.relationship import end_relationship, resume_relationship
from deploy.retention.run import Due, RetentionError, count_due, count_waiting, run, too_much
from workers.vault.vaults import Vaults


@click.group("retention")
def command() -> None:
    """Delete what the policy keeps no longer."""


@command.command("run")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--policy", type=click.Path(path_type=Path, dir_okay=False), help="In place of RETENTION_FILE.")
@click.option(
    "--most-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="For this run: the share of a class's rows that may go, like 0.2.",
)
def run_command(*, dry_run: bool, policy: Path | None, most_share: float | None) -> None:
    """Delete what is due, class by class; to be run once a day."""
    settings = settings_for("operator")
    path = policy or settings.retention_file
    if path is None:
        raise Failed("there is no policy: set RETENTION_FILE, or say --policy; deploy/retention.example.toml is one")
    with operating(PolicyError, RetentionError, BlobsLeftError, settings=settings) as conn:
        rules = read_policy(path)
        if dry_run:
            found = count_due(conn, rules)
            Console().print(_render(found))
            if problem := too_much(found, most_share):
                click.echo(f"a run would refuse: {problem}")
            _tell_waiting(count_waiting(conn))
            return
        deleted = run(conn, rules, vaults=Vaults(settings), most_share=most_share)
        _tell_waiting(count_waiting(conn))
    click.echo(", ".join(f"{rows} {name.replace('_', ' ')}" for name, rows in deleted.items()) + " deleted")


@command.command("relationship-ended")
@subject_options
@click.option("--on", "ended_on", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day, in UTC.")
@click.option("--reason", required=True, help="Why; kept for ever, so without the person's name.")
def relationship_ended_command(
    *,
    workflow: str | None,
    account: str | None,
    user_reference: str | None,
    tenant: str,
    ended_on: datetime,
    reason: str,
) -> None:
    """Tell when the relationship with a customer ended: the clock `relationship-ended` starts then.

    Not for workflows that began later: then the customer has come back.
    """
    subject = read_subject(workflow, account, user_reference, tenant)
    if ended_on.replace(tzinfo=UTC) > datetime.now(UTC):
        raise Failed("--on is still to come; tell it once that day is there")
    with operating(SubjectError) as conn:
        workflows = end_relationship(conn, subject, ended_at=ended_on.replace(tzinfo=UTC), reason=reason)
    click.echo(f"noted: the clock of {workflows} workflows starts on that day")
    warn_of_none(subject, workflows, which=f" that began by {ended_on:%Y-%m-%d}")


@command.command("relationship-goes-on")
@subject_options
@click.option("--reason", required=True, help="Why; kept for ever, so without the person's name.")
def relationship_goes_on_command(
    workflow: str | None, account: str | None, user_reference: str | None, tenant: str, reason: str
) -> None:
    """Take back that a relationship ended."""
    subject = read_subject(workflow, account, user_reference, tenant)
    with operating(SubjectError) as conn:
        resume_relationship(conn, subject, reason=reason)
    click.echo("noted: the clock stands still")


def _tell_waiting(workflows: int) -> None:
    if workflows:
        click.echo(
            f"{workflows} workflows are left whole while something of them waits: jumio-pipeline status says what"
        )


def _render(found: list[Due]) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("class", "kept", "since", "rows", "due", "share", "on hold"):
        table.add_column(heading)
    for each in found:
        rule, numbers = each.rule, (str(each.rows), str(each.due), f"{each.share:.2%}", str(each.held))
        table.add_row(rule.name, rule.keep, rule.clock, *numbers)
    return table
