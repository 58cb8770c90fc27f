"""Options that name a subject, shared by the commands that hold, erase and tell."""

from collections.abc import Callable
from typing import Any

import click

from deploy.erasure.subject import Kind, Subject


def subject_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--workflow, --account, --user-reference and --tenant."""
    for option in (
        click.option("--tenant", default="default", show_default=True, help="Which Jumio customer account of ours."),
        click.option("--user-reference", help="All of a reference of ours: its accounts and all of their workflows."),
        click.option("--account", help="An account of Jumio's: all of its workflows."),
        click.option("--workflow", help="One workflow: execution id, scan reference or transaction reference."),
    ):
        command = option(command)
    return command


def read_subject(workflow: str | None, account: str | None, user_reference: str | None, tenant: str) -> Subject:
    """Exactly one of them."""
    named: dict[Kind, str | None] = {"workflow": workflow, "account": account, "user-reference": user_reference}
    given = [Subject(tenant, kind, value) for kind, value in named.items() if value]
    if len(given) != 1:
        raise click.UsageError("say one of --workflow ID, --account ID or --user-reference REFERENCE")
    return given[0]


def warn_of_none(subject: Subject, workflows: int, *, which: str = "") -> None:
    """Somebody who is yet to come may be meant; mostly it is a slip, or a tenant that was not said."""
    if not workflows:
        click.echo(
            f"but no such workflow is known in tenant {subject.tenant}{which}: "
            f"is the {subject.kind} right, and --tenant?",
            err=True,
        )
