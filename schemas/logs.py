"""How everything is logged: structlog and every library alike. No body, name, number or image, ever: ids only."""

import contextlib
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Libraries of which only trouble is of interest; httpx2 logs whole URLs at INFO.
_QUIET = ("httpx2", "httpcore2", "uvicorn", "uvicorn.error", "uvicorn.access", "celery", "kombu", "amqp", "asyncio")
_FILLED_IN = {"asyncio", "py.warnings"}
_LONGEST_TEMPLATE = 300
_LONGEST_CHAIN = 8


def configure_logs(log_format: str = "auto", *, stream: TextIO | None = None) -> None:
    """Send structlog's and every library's records to stderr or a stream: JSON, or readable on a terminal."""
    stream = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        describe_exception,
    ]
    handler = logging.StreamHandler(stream)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: Line(handler),
        # Found anew at each call, so that what is configured later counts for all.
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[keep_template_only, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    _take_over_libraries(handler)
    _catch_crashes()


def _take_over_libraries(handler: logging.Handler) -> None:
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)
    # A record whose arguments do not fit would be printed with them.
    logging.raiseExceptions = False


def _catch_crashes() -> None:
    sys.excepthook = _log_crash
    threading.excepthook = lambda crash: _log_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)
    sys.unraisablehook = lambda crash: _log_crash(crash.exc_type, crash.exc_value, crash.exc_traceback)


class Line:
    """Writes what was rendered, between the lines of libraries; a stream that takes nothing costs no one an answer.

    Past the standard library's records: each of our own would be two of them, a third of what a lone callback costs.
    """

    def __init__(self, handler: "logging.StreamHandler[TextIO]") -> None:
        self._handler = handler

    def msg(self, text: str) -> None:
        """Write one line."""
        self._handler.acquire()
        try:
            with contextlib.suppress(OSError, ValueError):
                self._handler.stream.write(f"{text}\n")
                self._handler.flush()
        finally:
            self._handler.release()

    debug = info = warning = error = critical = msg


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by the names of its classes and the places it passed: its text may quote a value."""
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["exception"] = _chain(error)
        event["where"] = _places(error.__traceback__)
    event.pop("exception_text", None)
    return event


def keep_template_only(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep a library's message as it is written in its source: what it fills in may be personal."""
    record: logging.LogRecord = event["_record"]
    event["exc_info"] = record.exc_info if record.exc_info and record.exc_info[1] else None
    event["logger"] = record.name
    event["message"] = _template(record)
    event["event"] = "library.logged"
    return event


def _template(record: logging.LogRecord) -> str:
    if not isinstance(record.msg, str):
        return type(record.msg).__name__
    if record.name in _FILLED_IN and not record.args:
        # These write the finished text where others write a template; what comes before the first colon is theirs.
        return record.msg.partition(":")[0][:_LONGEST_TEMPLATE] if record.name == "asyncio" else "a warning was raised"
    return record.msg[:_LONGEST_TEMPLATE]


def _chain(error: BaseException) -> str:
    names: list[str] = []
    current: BaseException | None = error
    while current is not None and len(names) < _LONGEST_CHAIN:
        names.append(type(current).__qualname__)
        current = _before(current)
    return " <- ".join(names)


def _before(error: BaseException) -> BaseException | None:
    """What raised it, or what it is wrapped around: of a killed child Celery logs only the wrapper."""
    wrapped = getattr(error, "exc", None)
    if isinstance(wrapped, BaseException):
        return wrapped
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _places(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace, limit=-12)]


def _log_crash(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process.crashed", exc_info=(kind, error or kind(), trace))
