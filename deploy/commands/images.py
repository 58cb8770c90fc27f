"""jumio-pipeline images."""

from collections import Counter
from pathlib import Path

import click
from psycopg.errors import InsufficientPrivilege

from deploy.commands.session import Failed, connection, settings_for
from deploy.images.get import GetError, Wanted, get_images
from deploy.images.move import move_images
from deploy.images.verify import verify
from schemas.images_url import read_images_url
from schemas.settings import Settings
from workers.errors import VaultAwayError
from workers.vault.vaults import Vaults


@click.group("images")
def command() -> None:
    """The images of people and documents, in the store of IMAGES_URL."""


@command.command("get")
@click.option("--workflow", "workflow_key", required=True, help="Workflow execution id or scan reference.")
@click.option("--tenant", help="Where several tenants have that id.")
@click.option("--credential", "credential_id", help="Only those of one credential.")
@click.option("--classifier", help="Only this part: FRONT, BACK, FACE and so on.")
@click.option("--reason", required=True, help="Why; it is kept in the audit trail with your login.")
@click.option("--to", required=True, type=click.Path(path_type=Path), help="A folder that exists, or a new file.")
def get_command(
    *, workflow_key: str, tenant: str | None, credential_id: str | None, classifier: str | None, reason: str, to: Path
) -> None:
    """Decrypt images of a workflow into files that only you can read. The read is audited before."""
    settings = settings_for("images")
    wanted = Wanted(workflow_key, reason, tenant, credential_id, classifier)
    # An investigator's login sees the interface only, not which migrations were applied.
    with connection(settings, current=False) as conn:
        try:
            got = get_images(conn, wanted, to, keys=settings.keys, vaults=Vaults(settings))
        except GetError as error:
            raise Failed(str(error)) from None
        except InsufficientPrivilege:
            raise Failed("this login may not read images: it must be a compliance_investigator") from None
    for each in got:
        click.echo(f"{each.path}" if each.path else f"{each.name}: {each.problem}", err=each.path is None)
    if any(each.problem for each in got):
        raise Failed("not every image could be written; that they were asked for is in the audit trail all the same")


@command.command("verify")
@click.option("--delete-orphans", is_flag=True, help="Delete blobs that no row names, if they are older than an hour.")
@click.option("--also", multiple=True, metavar="URL", help="Look for orphans in a store that no row names any more.")
def verify_command(*, delete_orphans: bool, also: tuple[str, ...]) -> None:
    """Read and check every image, and look for blobs without one. Exit code 1 when something is not as it should be."""
    settings = settings_for("images")
    stores = [_store(url) for url in also]
    counts: Counter[str] = Counter()
    with connection(settings) as conn:
        found = verify(conn, keys=settings.keys, vaults=_vaults(settings), also=stores, delete_orphans=delete_orphans)
        try:
            for each in found:
                counts[each.kind] += 1
                if each.problem:
                    click.echo(f"{each.kind}: {each.store} {each.what}: {each.problem}")
        except VaultAwayError as error:
            raise Failed(f"{error}; not everything was looked at") from None
    click.echo(
        f"{counts['well']} images well, {counts['missing']} missing, {counts['damaged']} damaged; "
        f"{counts['orphan']} orphans, {counts['deleted']} deleted, {counts['young']} too young to tell"
    )
    if counts["missing"] or counts["damaged"]:
        raise Failed("see the runbook (Images)")
    if counts["orphan"]:
        raise Failed("nothing is lost; to delete orphans: jumio-pipeline images verify --delete-orphans")


@command.command("move")
def move_command() -> None:
    """Move every image to the store of IMAGES_URL, while the line runs. Killed or failed: run it again, it goes on."""
    settings = settings_for("images")
    counts: Counter[bool] = Counter()
    with connection(settings) as conn:
        try:
            for image_id, problem in move_images(conn, keys=settings.keys, vaults=_vaults(settings)):
                counts[not problem] += 1
                if problem:
                    click.echo(f"{image_id}: {problem}", err=True)
        except VaultAwayError as error:
            raise Failed(f"{error}; {counts[True]} images were moved. Run it again when that is mended") from None
    click.echo(f"{counts[True]} images moved to {settings.images_url}")
    if counts[False]:
        raise Failed(f"{counts[False]} images stay where they are; see the runbook (Images)")


def _vaults(settings: Settings) -> Vaults:
    vaults = Vaults(settings)
    if problem := vaults.check():
        raise Failed(f"IMAGES_URL: {problem}")
    return vaults


def _store(url: str) -> str:
    try:
        return str(read_images_url(url))
    except ValueError as error:
        raise click.UsageError(f"--also {error}") from None
