"""Meters: the server's counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from lilliput.server.service import Service

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Meters:
    """A registry of its own for each server."""

    def __init__(self, service: Service):
        self._service = service
        self._registry = CollectorRegistry()
        self._requests = Counter("lilliput_requests", "Requests answered.", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "lilliput_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._registry.register(self)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """Return all counts as the text of /metrics."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the engines' own figures at the time of the request."""
        tokens = CounterMetricFamily("lilliput_tokens", "Tokens of answered requests.", labels=["model", "kind"])
        texts = GaugeMetricFamily("lilliput_texts", "Texts that run or wait.", labels=["model", "state"])
        slots = GaugeMetricFamily("lilliput_slots", "Texts that can run at once.", labels=["model"])
        for worker in self._service:
            name = worker.served.name
            tokens.add_metric([name, "prompt"], worker.prompt_tokens)
            tokens.add_metric([name, "completion"], worker.completion_tokens)
            for state, count in worker.texts.items():
                texts.add_metric([name, state], count)
            slots.add_metric([name], worker.slots)
        yield from (tokens, texts, slots)
