"""The demo: everything is started, played, waited for, checked, shown and stopped."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy import subscriptions
from deploy.demo.check import Found, is_settled, look, problems
from deploy.demo.play import families, play, post_malformed
from deploy.demo.show import show_results
from deploy.demo.subscriber import running_subscriber
from deploy.simulator.report import Report
from deploy.simulator.run import Simulator
from deploy.up import StartError, development_environment, running_line
from schemas.logs import configure_logs
from schemas.settings import Settings

# The schedules of production take an hour and a week; the demo shows the same steps in seconds.
_SHORT_SCHEDULES = {"JUMIO_RETRY_SECONDS": "0.5,1,1,2,2,4,4", "DELIVERY_RETRY_SECONDS": "0.5,1,2,4"}
# Jumio allows 15/s; at that rate the demo would take a minute, and this Jumio has nobody else to serve.
_RETRIEVAL_RATE = "60/s"
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.3


def run_demo(*, workflows: int, seed: int, keep: Path | None) -> int:
    """Show the line; the exit code: 0 only if all of it is as it should be."""
    console = Console()
    started = time.monotonic()
    with ExitStack() as stack:
        folder = keep or stack.enter_context(_temporary_folder())
        logs = folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        configure_logs("json", stream=stack.enter_context((logs / "demo.log").open("a", encoding="utf-8")))
        demo = Demo(stack, stack.enter_context(_progress(console)), seed=seed)
        demo.start(folder, logs)
        wrong = demo.play(workflows)
    demo.show(console)
    for problem in wrong:
        console.print(f"wrong: {problem}", style="red")
    console.print(
        f"{'Not all' if wrong else 'All'} as it should be, in {time.monotonic() - started:.1f} s; nothing runs on."
    )
    return 1 if wrong else 0


class Demo:
    """What one run of the demo holds; the stack stops it all, in the reverse order of its start."""

    def __init__(self, stack: ExitStack, progress: Progress, *, seed: int) -> None:
        self._stack, self._progress, self._seed = stack, progress, seed

    def start(self, folder: Path, logs: Path) -> None:
        """A Jumio, a subscriber, and the line between them."""
        task = self._progress.add_task("Start Postgres, Valkey, receiver, relay, worker", total=None)
        self._simulator = self._stack.enter_context(Simulator(seed=self._seed))
        self._subscriber = self._stack.enter_context(running_subscriber())
        environment = {
            **development_environment(),
            **self._simulator.environment(),
            **_SHORT_SCHEDULES,
            "JUMIO_RETRIEVAL_RATE": _RETRIEVAL_RATE,
            "BIND": "127.0.0.1:0",
            "METRICS_BIND": "127.0.0.1:0",
            "SUBSCRIBER_PRIVATE_CIDRS": "127.0.0.0/8",
        }
        self._line = self._stack.enter_context(running_line(folder, environment, logs=logs))
        settings = Settings.load("subscriptions", self._line.environment)
        url = settings.database_url.get_secret_value()
        self._conn = self._stack.enter_context(psycopg.connect(url, autocommit=True))
        if look(self._conn).callbacks:
            raise StartError(
                "the demo needs a database without callbacks: unset DATABASE_URL, or choose another folder"
            )
        private = settings.subscriber_private_cidrs
        added = subscriptions.add(self._conn, self._subscriber.url, keys=settings.keys, private=private)
        self._subscriber.secret = added.secret
        self._progress.update(task, total=1, completed=1)

    def play(self, workflows: int) -> list[str]:
        """Send, wait until all is settled, and say what is wrong."""
        callback_url = f"{self._line.url}/callbacks/default"
        with ThreadPoolExecutor(max_workers=1) as background:
            malformed = post_malformed(self._simulator, callback_url)
            sending = background.submit(play, self._simulator, callback_url, workflows)
            self._watch(sending, sum(families(workflows).values()))
            self._report = sending.result()
        self._found = self._settle()
        return problems(self._found, self._report, malformed, self._subscriber)

    def show(self, console: Console) -> None:
        """The tables."""
        show_results(console, self._found, self._report, self._simulator, self._subscriber)

    def _watch(self, sending: Future[Report], transactions: int) -> None:
        """Move the bars while Jumio is sending."""
        self._bars = {
            "decided": self._progress.add_task("Transactions decided", total=transactions),
            "stored": self._progress.add_task("Images stored", total=None),
            "events": self._progress.add_task("Events at the subscriber", total=None),
        }
        while not sending.done():
            self._move_bars(look(self._conn))
            time.sleep(_LOOK_SECONDS)

    def _settle(self) -> Found:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        found = look(self._conn)
        while not is_settled(found, self._report) and time.monotonic() < deadline:
            self._line.processes.check()
            time.sleep(_LOOK_SECONDS)
            found = look(self._conn)
            self._move_bars(found)
        return found

    def _move_bars(self, found: Found) -> None:
        decided = sum(row["verdict_version"] > 0 for row in found.workflows.values())
        stored = sum(row["state"] == "stored" for row in found.images)
        to_be_had = sum(row["state"] != "missing" for row in found.images)
        self._progress.update(self._bars["decided"], completed=decided)
        self._progress.update(self._bars["stored"], completed=stored, total=max(to_be_had, 1))
        received = len(self._subscriber.received)
        self._progress.update(self._bars["events"], completed=received, total=max(len(found.events), 1))


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Others may pass through it: as root, Postgres runs as someone else."""
    folder = Path(tempfile.mkdtemp(prefix="jumio-pipeline-demo-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(finished_text="*"), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)
