"""Whatever fails, wherever: a log line says which classes and which places, never with which values."""

import io
import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError

from schemas.logs import configure_logs

ROOT = Path(__file__).parents[2]
PLANTED = "PLANTED-7431"
LIBRARIES = ("httpx2", "httpcore2", "uvicorn", "uvicorn.access", "celery", "kombu", "asyncio")
Start = Callable[[str], io.StringIO]


@pytest.fixture
def logs() -> Iterator[Start]:
    """Starts logging as a process does, into a text; what was before comes back."""
    root, hook = (logging.root.handlers[:], logging.root.level), sys.excepthook
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}

    def start(log_format: str = "json") -> io.StringIO:
        stream = io.StringIO()
        configure_logs(log_format, stream=stream)
        return stream

    yield start
    logging.root.handlers[:], logging.root.level = root
    sys.excepthook = hook
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    name = PLANTED
    try:
        int(name)
    except ValueError as error:
        raise KeyError(name) from error


def fail_while_failing() -> None:
    try:
        fail()
    except KeyError:
        raise RuntimeError(PLANTED, {"name": PLANTED})  # noqa: B904 - its context is what is looked at


def test_an_event_is_one_line_of_json_with_its_fields(logs: Start) -> None:
    stream = logs("json")

    structlog.contextvars.bind_contextvars(step="fetch", row="0198")
    structlog.get_logger().info("verdict.recorded", workflow_key="w-1", version=2)

    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "verdict.recorded",
        "level": "info",
        "step": "fetch",
        "row": "0198",
        "workflow_key": "w-1",
        "version": 2,
    }


def test_a_line_end_in_a_value_makes_no_second_line(logs: Start) -> None:
    stream = logs("json")

    structlog.get_logger().info("verdict.recorded", workflow_key='w-1\n{"event": "forged"}')

    [line] = lines(stream)
    assert line["event"] == "verdict.recorded"


def test_an_exception_is_its_classes_and_places(logs: Start) -> None:
    stream = logs("json")

    try:
        fail_while_failing()
    except RuntimeError:
        structlog.get_logger().exception("relay.failed")

    [line] = lines(stream)
    assert line["exception"] == "RuntimeError <- KeyError <- ValueError"
    assert [place.split()[-1] for place in line["where"]] == [
        "test_an_exception_is_its_classes_and_places",
        "fail_while_failing",
    ]
    assert PLANTED not in stream.getvalue()


def test_a_suppressed_context_is_not_told(logs: Start) -> None:
    stream = logs("json")

    try:
        try:
            fail()
        except KeyError:
            raise RuntimeError(PLANTED) from None
    except RuntimeError:
        structlog.get_logger().exception("relay.failed")

    [line] = lines(stream)
    assert line["exception"] == "RuntimeError"
    assert PLANTED not in stream.getvalue()


def test_exceptions_that_cause_each_other_come_to_an_end(logs: Start) -> None:
    stream = logs("json")
    first, second = ValueError(PLANTED), KeyError(PLANTED)
    first.__cause__, second.__cause__ = second, first

    structlog.get_logger().error("relay.failed", exc_info=first)

    [line] = lines(stream)
    assert line["exception"].split(" <- ") == ["ValueError", "KeyError"] * 4
    assert PLANTED not in stream.getvalue()


def test_an_exception_in_a_librarys_record_is_its_classes_and_places(logs: Start) -> None:
    stream = logs("json")

    try:
        fail()
    except KeyError:
        logging.getLogger("psycopg.pool").exception("failed with %s", PLANTED)

    [line] = lines(stream)
    assert (line["event"], line["logger"], line["message"]) == ("library.logged", "psycopg.pool", "failed with %s")
    assert (line["exception"], line["level"]) == ("KeyError <- ValueError", "error")
    assert PLANTED not in stream.getvalue()


def test_of_a_librarys_record_only_the_template_is_kept(logs: Start) -> None:
    stream = logs("json")
    template = "Task %(name)s[%(id)s] raised unexpected: %(exc)s"

    logging.getLogger("celery.worker").error(
        template, {"name": "fetch", "id": 1, "exc": PLANTED}, extra={"data": {"args": PLANTED}}, stack_info=True
    )
    logging.getLogger("anyone").info("%s and %r", PLANTED, [PLANTED])
    logging.getLogger("anyone").warning({"message": PLANTED})
    logging.getLogger("anyone").warning(ValueError(PLANTED))

    assert [line["message"] for line in lines(stream)] == [template, "%s and %r", "dict", "ValueError"]
    assert {line["event"] for line in lines(stream)} == {"library.logged"}
    assert PLANTED not in stream.getvalue()


def test_a_long_template_is_cut(logs: Start) -> None:
    stream = logs("json")

    logging.getLogger("anyone").warning("a" * 10_000)

    [line] = lines(stream)
    assert line["message"] == "a" * 300


@pytest.mark.parametrize("name", LIBRARIES)
def test_of_talkative_libraries_only_trouble_is_logged(logs: Start, name: str) -> None:
    stream = logs("json")

    logging.getLogger(name).info("HTTP Request: GET https://jumio.example/%s", PLANTED)
    logging.getLogger(name).warning("trouble")

    assert [line["message"] for line in lines(stream)] == ["trouble"]
    assert PLANTED not in stream.getvalue()


def test_of_a_killed_child_it_is_told_that_the_worker_was_lost(logs: Start) -> None:
    """As Celery logs it: billiard's wrapper, which keeps its cause to itself. The runbook speaks of this line."""
    stream = logs("json")

    wrapper = ExceptionWithTraceback(WorkerLostError(PLANTED), "")
    logging.getLogger("celery.worker.request").error("Task handler raised error: %r", PLANTED, exc_info=wrapper)

    [line] = lines(stream)
    assert line["exception"] == "ExceptionWithTraceback <- WorkerLostError"
    assert PLANTED not in stream.getvalue()


def test_below_info_nothing_is_logged(logs: Start) -> None:
    stream = logs("json")

    structlog.get_logger().debug("verdict.recorded")
    logging.getLogger("anyone").debug("anything")

    assert stream.getvalue() == ""


def test_on_a_console_it_reads_well_and_tells_no_more(logs: Start) -> None:
    stream = logs("console")

    try:
        fail()
    except KeyError:
        structlog.get_logger().exception("relay.failed", table="images")
        logging.getLogger("anyone").exception("failed with %s", PLANTED)

    text = stream.getvalue()
    assert "relay.failed" in text
    assert "KeyError <- ValueError" in text
    assert "images" in text
    assert not text.startswith("{")
    assert PLANTED not in text


def test_auto_is_json_where_no_one_watches(logs: Start) -> None:
    stream = logs("auto")

    structlog.get_logger().info("relay.started")

    assert [line["event"] for line in lines(stream)] == ["relay.started"]


def test_to_configure_twice_logs_once(logs: Start) -> None:
    logs("json")
    stream = logs("json")

    logging.getLogger("anyone").warning("once")

    assert len(lines(stream)) == 1


def run(program: str) -> "subprocess.CompletedProcess[str]":
    start = "from schemas.logs import configure_logs\nconfigure_logs('json')\n"
    return subprocess.run(
        [sys.executable, "-c", start + textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )


def test_an_exception_that_ends_the_process_shows_no_value() -> None:
    ended = run("""
        def main():
            document = {"name": "PLANTED-7431"}
            raise ValueError("PLANTED-7431", document) from KeyError("PLANTED-7431")
        main()
    """)

    [line] = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert (line["event"], line["level"], line["exception"]) == (
        "process.crashed", "critical", "ValueError <- KeyError"
    )  # fmt: skip
    assert line["where"][-1].endswith(" main")
    assert PLANTED not in ended.stderr + ended.stdout


def test_an_interrupt_is_no_crash() -> None:
    ended = run("raise KeyboardInterrupt('PLANTED-7431')")

    assert ended.returncode != 0
    assert ended.stderr == ""


def test_a_warning_is_a_record() -> None:
    ended = run("""
        import warnings
        warnings.warn("something is old", DeprecationWarning)
        warnings.warn("something is odd")
    """)

    records = [json.loads(line) for line in ended.stderr.splitlines()]
    assert {record["logger"] for record in records} == {"py.warnings"}
    assert {record["level"] for record in records} == {"warning"}
    assert ended.returncode == 0


@pytest.mark.parametrize(
    "program",
    [
        "import warnings; v='PLANTED-'+'7431'; warnings.warn(f'bad value {v}')",
        "import logging; logging.getLogger('x').warning('%d', 'PLANTED-'+'7431')",
        """
        import threading
        def fail(): raise ValueError('PLANTED-'+'7431')
        thread = threading.Thread(target=fail); thread.start(); thread.join()
        """,
        """
        class Failing:
            def __del__(self): raise ValueError('PLANTED-'+'7431')
        Failing()
        """,
        """
        import asyncio, gc
        async def fail(): raise ValueError('PLANTED-'+'7431')
        async def main():
            task = asyncio.ensure_future(fail()); await asyncio.sleep(0.01); del task; gc.collect()
        asyncio.run(main())
        """,
    ],
    ids=["warning", "arguments that do not fit", "thread", "del", "asyncio"],
)
def test_no_way_out_of_a_process_shows_a_value(program: str) -> None:
    logged = run(program).stderr

    assert "PLANTED" not in logged
