"""jumio-pipeline worker."""

import os
import sys

import click

from deploy.commands.session import Failed, connection, settings_for
from schemas.noted import noted_of_worker
from schemas.settings import Settings
from workers import store
from workers.broker import QUEUES
from workers.vault.vaults import Vaults


@click.command("worker")
def command() -> None:
    """Fetch, decide, record, store images, deliver: one Celery worker with WORKER_PROCESSES children."""
    settings = settings_for("worker")
    with connection(settings) as conn:
        store.note_settings(conn, "worker", noted_of_worker(settings))
    if problem := Vaults(settings).check():
        raise Failed(f"IMAGES_URL: {problem}")
    arguments = celery_arguments(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - our own interpreter with our own arguments


def celery_arguments(settings: Settings) -> list[str]:
    """Celery's own command line; it takes over this process, so that signals reach it directly."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "workers.app", "worker"),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        *("--concurrency", str(settings.worker_processes), "--queues", ",".join(QUEUES.values())),
    ]
