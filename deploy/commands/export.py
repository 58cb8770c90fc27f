"""jumio-pipeline export."""

from pathlib import Path

import click

from deploy.bundle.signature import public_pem, signing_key
from deploy.bundle.write import BundleError, find_family, write_bundle
from deploy.commands.session import Failed, connection, settings_for
from workers.vault.vaults import Vaults


@click.command("export")
@click.option("--workflow", help="Execution id, scan reference or transaction reference.")
@click.option("--tenant", default="default", show_default=True, help="Which Jumio customer account of ours.")
@click.option("--family", help="Where two product generations know the same id: kyx, netverify and so on.")
@click.option(
    "--to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.zip", help="A file that is not there yet."
)
@click.option("--reason", help="Why; kept for ever, so without the person's name. Asked for where it is left out.")
@click.option("--public-key", is_flag=True, help="Only print the key with which bundles are verified.")
def command(
    *, workflow: str | None, tenant: str, family: str | None, to: Path | None, reason: str | None, public_key: bool
) -> None:
    """Write all there is about one workflow into a signed file, in the clear: keep it as you keep a passport."""
    if public_key:
        click.echo(public_pem(signing_key(settings_for(""))), nl=False)
        return
    if not workflow or to is None:
        raise click.UsageError("say --workflow ID and --to FILE.zip, or --public-key")
    settings = settings_for("exporter")
    reason = reason or click.prompt("Why")
    signer = signing_key(settings)
    with connection(settings) as conn:
        try:
            key = find_family(conn, tenant, workflow, family)
            absent = write_bundle(
                conn, key, to, keys=settings.keys, vaults=Vaults(settings), signer=signer, reason=reason
            )
        except BundleError as error:
            raise Failed(str(error)) from None
    click.echo(f"written: {to}; VERIFY.txt in it says how to check it")
    for line in absent:
        click.echo(f"not in it: {line}", err=True)
