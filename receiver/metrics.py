"""What the receiver counts, in a registry of its own; labels are our words, never a caller's."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Protocol

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counts(Protocol):
    """What everything that listens as the door does must count."""

    turned_away: prometheus_client.Counter
    cut: prometheus_client.Counter

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""


class Answers(Collector):
    """Answers by status code and by the time they took, added up by the loop alone: locks would cost thrice as much."""

    def __init__(self) -> None:
        self._codes: Counter[int] = Counter()
        self._within = [0] * len(_SECONDS)
        self._seconds = 0.0

    def note(self, status: int, seconds: float) -> None:
        """Count one, which took so long."""
        self._codes[status] += 1
        self._within[bisect_left(_SECONDS, seconds)] += 1
        self._seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """What is scraped: a counter and a histogram."""
        answers = CounterMetricFamily(
            "jumio_receiver_answers", "Answers to callbacks, by status code.", labels=["code"]
        )
        for code, count in sorted(self._codes.items()):
            answers.add_metric([str(code)], count)
        yield answers
        bounds = ["+Inf" if bound == math.inf else str(float(bound)) for bound in _SECONDS]
        yield HistogramMetricFamily(
            "jumio_receiver_answer_seconds",
            "From the request's head to the answer.",
            buckets=list(zip(bounds, accumulate(self._within), strict=True)),
            sum_value=self._seconds,
        )


class Metrics:
    """One object a process, shared by the two servers in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Answers()
        self.registry.register(self.answers)
        self.refused = self._counter("refused", "Callers refused, by rule.", "rule")
        self.kept = self._counter("kept", "Rows committed, by state.", "state")
        self.spooled = self._total("spooled", "Callbacks kept in the spool, as Postgres did not take them.")
        self.drained = self._total("drained", "Rows taken from the spool to Postgres.")
        self.spool_refusals = self._total("spool_refusals", "Writes that the spool's disk refused.")
        self.incomplete = self._counter("incomplete", "Bodies that ended early or came too slowly; not kept.", "reason")
        self.not_kept = self._counter("not_kept", "Callbacks answered 503, by reason.", "reason")
        self.turned_away = self._counter("turned_away", "Requests refused before they reached a route.", "code")
        self.cut = self._counter("cut_connections", "Connections closed by a limit.", "reason")
        self.batch = Histogram(
            "jumio_receiver_batch_rows", "Callbacks that shared one commit.", buckets=_ROWS, registry=self.registry
        )
        self.line = self._gauge("line", "Rows of the line, by table and what is asked.", "work", "measure")
        self.aside = self._gauge("aside_rows", "Rows kept aside, by state.", "state")
        self.silent = self._gauge("silent_seconds", "Since the last sign of life, by role.", "role")

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is scraped."""
        gauge = Gauge(f"jumio_receiver_{name}", help_text, registry=self.registry)
        gauge.set_function(value)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _total(self, name: str, help_text: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(f"jumio_receiver_{name}", help_text, registry=self.registry)

    def _counter(self, name: str, help_text: str, label: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(f"jumio_receiver_{name}", help_text, [label], registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"jumio_receiver_{name}", help_text, labels, registry=self.registry)
