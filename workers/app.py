"""The worker process: what `celery -A workers.app worker` finds. The one module that reads settings when imported."""

from uuid import UUID

from celery import Task
from celery.signals import setup_logging, task_prerun, worker_process_init, worker_process_shutdown
from structlog.contextvars import bind_contextvars, clear_contextvars

from schemas.logs import configure_logs
from schemas.settings import Settings
from workers.broker import build_app
from workers.tools import close_tools, open_tools

settings = Settings.load("worker")
app = build_app(settings)
app.conf.imports = ("workers.tasks",)


@setup_logging.connect
def _configure_logs(**_signal: object) -> None:
    configure_logs(settings.log_format)


@worker_process_init.connect
def _open_tools(**_signal: object) -> None:
    """After the fork: neither libpq nor TLS survives one."""
    open_tools(settings)


@worker_process_shutdown.connect
def _close_tools(**_signal: object) -> None:
    close_tools()


@task_prerun.connect
def _bind_ids(task: "Task[..., object]", args: tuple[object, ...], **_signal: object) -> None:
    clear_contextvars()
    bind_contextvars(step=task.name, row=_row_id(args))


def _row_id(args: tuple[object, ...]) -> str | None:
    """Whoever can write to the broker could otherwise write to the log."""
    try:
        return str(UUID(str(args[0])))
    except (IndexError, ValueError):
        return None
