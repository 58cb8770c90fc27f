"""What the feed counts, in a registry of its own; labels are our words, never a caller's."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# A page is read in milliseconds; a statement ends after five seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One object a process, shared by the two servers in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = self._counter("answers", "Answers to questions for events, by status code.", "code")
        self.refused = self._counter("refused", "Questions refused, by what was wrong.", "reason")
        self.turned_away = self._counter("turned_away", "Requests refused before they reached a route.", "code")
        self.cut = self._counter("cut_connections", "Connections closed by a limit.", "reason")
        self.events = Counter("jumio_feed_events", "Events handed out, repeats included.", registry=self.registry)
        self.page_seconds = Histogram(
            "jumio_feed_page_seconds", "To read one page, without any wait for it.", buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.waiting = self._gauge("waiting", "Questions that wait for an event.")
        self.held_back = self._gauge("held_back_events", "Events behind a transaction that is open.")
        self.held_back_seconds = self._gauge("held_back_seconds", "How long the oldest of them has waited.")

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help_text: str, label: str) -> Counter:
        return Counter(f"jumio_feed_{name}", help_text, [label], registry=self.registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(f"jumio_feed_{name}", help_text, registry=self.registry)
