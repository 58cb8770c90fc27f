"""jumio-pipeline subscriptions."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.table import Table

from deploy import subscriptions
from deploy.commands.session import Failed, operating, print_wide, settings_for
from deploy.signing_secrets import Secret, choose_secret, rotate_secret
from deploy.subscriptions import Subscription, SubscriptionError, Wishes
from schemas.sealing import UnsealError
from workers.deliver import Destinations
from workers.errors import LineError

_HEADINGS = ("id", "url", "wants", "since", "delivered", "pending", "parked", "state")

secret_file_option = click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Holds the signing secret (whsec_... or whsk_...); a new one is written there if the file does not exist.",
)
ed25519_option = click.option(
    "--ed25519", is_flag=True, help="Sign with a private key (v1a); the subscriber verifies with the public one."
)


def _split(_ctx: click.Context, _param: click.Parameter, text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


@click.group("subscriptions")
def command() -> None:
    """Who gets events as signed webhooks."""


@command.command("add")
@click.argument("url")
@secret_file_option
@ed25519_option
@click.option("--types", callback=_split, help="Event types, separated by commas; without it, all of them.")
@click.option("--outcomes", callback=_split, help="Only workflows that came to one of these, and all that follows.")
@click.option("--tenants", callback=_split, help="Only of these tenants.")
@click.option("--families", callback=_split, help="Only of these product generations.")
@click.option(
    "--enrich", callback=_split, help="checks (reasons, checks, steps), identity (in the clear, audited), or both."
)
def add_command(
    url: str,
    *,
    secret_file: Path | None,
    ed25519: bool,
    types: Sequence[str] | None,
    outcomes: Sequence[str] | None,
    tenants: Sequence[str] | None,
    families: Sequence[str] | None,
    enrich: Sequence[str] | None,
) -> None:
    """Send events to URL from now on."""
    settings = settings_for("subscriptions")
    wishes = Wishes(types=types, outcomes=outcomes, tenants=tenants, families=families, enrich=enrich)
    with operating(SubscriptionError, settings=settings) as conn:
        secret = choose_secret(secret_file, ed25519=ed25519)
        private = settings.subscriber_private_cidrs
        added = subscriptions.add(conn, url, wishes, keys=settings.keys, private=private, secret=secret.text)
    click.echo(f"subscription {added.id}")
    _say_secret(secret, secret_file)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs: a list, the oldest first.")
def list_command(*, as_json: bool) -> None:
    """Show subscribers, what waits for them, and why."""
    with operating() as conn:
        found = subscriptions.list_all(conn)
    if as_json:
        click.echo(json.dumps([vars(each) for each in found], indent=2, default=str))
        return
    table = Table(box=None, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for each in found:
        counts = (str(count) for count in (each.delivered, each.pending, each.parked))
        table.add_row(str(each.id), each.url, _wants(each), f"{each.created_at:%Y-%m-%d %H:%M}", *counts, _state(each))
    print_wide(table)


@command.command("pause")
@click.argument("id_or_url")
def pause_command(id_or_url: str) -> None:
    """Send nothing until it is resumed; events wait, and no try is used up."""
    with operating(SubscriptionError) as conn:
        paused = subscriptions.pause(conn, id_or_url)
    click.echo("paused" if paused else "it was paused already")


@command.command("resume")
@click.argument("id_or_url")
def resume_command(id_or_url: str) -> None:
    """Send again, in order, what waited: after a pause, or because its breaker need not wait any longer."""
    with operating(SubscriptionError) as conn:
        waiting = subscriptions.resume(conn, id_or_url)
    click.echo(f"resumed; {waiting} deliveries that waited go out now, in order")


@command.command("rotate")
@click.argument("id_or_url")
@secret_file_option
@ed25519_option
@click.option(
    "--hours",
    type=click.FloatRange(0, 24 * 30),
    default=24.0,
    show_default=True,
    help="How long the old one signs too.",
)
def rotate_command(id_or_url: str, *, secret_file: Path | None, ed25519: bool, hours: float) -> None:
    """Sign with a new secret from now on, and for a while with the old one too."""
    settings = settings_for("subscriptions")
    with operating(SubscriptionError, UnsealError, settings=settings) as conn:
        secret = rotate_secret(
            conn, id_or_url, keys=settings.keys, path=secret_file, ed25519=ed25519, seconds=hours * 3600
        )
    click.echo(f"rotated; for {hours:g} h the old one signs too, and none before it longer")
    _say_secret(secret, secret_file)


@command.command("test")
@click.argument("id_or_url")
def test_command(id_or_url: str) -> None:
    """Send a test event from here, signed and guarded like any other, and show the answer."""
    settings = settings_for("subscriptions")
    with (
        operating(SubscriptionError, LineError, UnsealError, settings=settings) as conn,
        closing(Destinations(settings)) as destinations,
    ):
        answer, seconds = subscriptions.try_out(
            conn, id_or_url, destinations=destinations, source=settings.event_source
        )
    click.echo(f"answer {answer.status} after {seconds * 1000:.0f} ms")
    if not answer.taken:
        raise Failed("an event counts as delivered with 2xx only; redirects are not followed")


@command.command("remove")
@click.argument("id_or_url")
def remove_command(id_or_url: str) -> None:
    """Send nothing more to a subscriber; what waits for it is cancelled."""
    with operating(SubscriptionError) as conn:
        cancelled = subscriptions.remove(conn, id_or_url)
    click.echo(f"removed; {cancelled} waiting deliveries cancelled")


def _say_secret(secret: Secret, path: Path | None) -> None:
    if secret.public_key is not None:
        click.echo(f"public key {secret.public_key} (verifies v1a signatures)")
    if path is not None:
        click.echo(f"secret in {path}")
    elif secret.public_key is None:
        click.echo(f"secret {secret.text} (shown this once)")


def _wants(each: Subscription) -> str:
    filters = (each.types, each.outcomes, each.tenants, each.families)
    wanted = "; ".join(", ".join(values) for values in filters if values) or "all"
    return wanted + "".join(f" + {more}" for more in each.enrich or ())


def _state(each: Subscription) -> str:
    state = "well"
    if each.paused_at is not None:
        state = f"paused since {each.paused_at:%Y-%m-%d %H:%M}"
    elif each.failing_since is not None:
        state = f"failing since {each.failing_since:%Y-%m-%d %H:%M}, {each.failures} times: {each.last_failure}"
    if each.rotated_until is not None:
        state += f"; an old secret signs too until {each.rotated_until:%Y-%m-%d %H:%M}"
    return state
