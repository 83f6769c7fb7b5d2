"""What Prometheus reads at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Seconds, from what a small model takes to what a client gives up on.
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters and histograms of one model, in a registry of their own.

    Args:
        model: Its name, which every series has as a label.
    """

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        self._model = model
        self._requests = Counter(
            "deploypipe_requests", "Inference requests.", ["model", "status"], registry=self.registry
        )
        self.verdict = self._gauge("verdict_passed", "1 when the bundle verified itself here.")
        self.in_progress = self._gauge("requests_in_progress", "Inference requests that are not answered yet.")
        self.queued = self._histogram("queue_seconds", "From a request until the model begins with it.", _SECONDS)
        self.inference = self._histogram("inference_seconds", "One run of the model.", _SECONDS)
        self.rows = self._histogram("batch_rows", "Rows of one run of the model.", _ROWS)
        self.verdict.set(0)

    def answered(self, status: int) -> None:
        """Counts an answer to an inference request."""
        self._requests.labels(self._model, str(status)).inc()

    def text(self) -> bytes:
        """Returns all of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, told: str) -> Gauge:
        return Gauge(f"deploypipe_{name}", told, ["model"], registry=self.registry).labels(self._model)

    def _histogram(self, name: str, told: str, buckets: tuple[float, ...]) -> Histogram:
        made = Histogram(f"deploypipe_{name}", told, ["model"], buckets=buckets, registry=self.registry)
        return made.labels(self._model)
