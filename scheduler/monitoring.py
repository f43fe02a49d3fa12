"""The product's own numbers for Prometheus, and whether the watcher can do its work, over HTTP."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from shared.errors import RecsweepError, ServiceError
from shared.queue import queue_length
from shared.store.totals import read_totals

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
StartResponse = Callable[[str, list[tuple[str, str]]], object]

logger = logging.getLogger(__name__)


class SweepCollector(Collector):
    """Reads the database and the broker at every scrape; keeps no state of its own.

    A scrape raises StoreError or ServiceError when one of them cannot be reached.
    """

    def __init__(self, engine: Engine, broker_url: str) -> None:
        self._engine = engine
        self._broker_url = broker_url

    def collect(self) -> Iterator[Metric]:
        """The current value of every number."""
        totals = read_totals(self._engine)
        trials = GaugeMetricFamily("recsweep_trials", "Trials of all sweeps by status.", labels=["status"])
        for status, n_trials in totals.n_trials.items():
            trials.add_metric([status], n_trials)
        yield trials
        attempts = GaugeMetricFamily(
            "recsweep_attempts", "Attempts of all trials by how they ended.", labels=["end_reason"]
        )
        for end_reason, n_attempts in totals.n_attempts.items():
            attempts.add_metric([end_reason], n_attempts)
        yield attempts
        yield GaugeMetricFamily(
            "recsweep_queue_length",
            "Messages that wait for a worker.",
            value=queue_length(self._broker_url),
        )
        yield CounterMetricFamily(
            "recsweep_epochs", "Epochs recorded; pruned sweeps are taken off.", value=totals.n_epochs
        )
        yield GaugeMetricFamily(
            "recsweep_epochs_per_second",
            "Speed of all running trials together, each by its newest epoch.",
            value=totals.epochs_per_second,
        )
        if totals.last_success_at is not None:
            yield GaugeMetricFamily(
                "recsweep_last_success_timestamp_seconds",
                "When a trial last succeeded, in seconds since 1970.",
                value=totals.last_success_at.timestamp(),
            )


class MetricsApp:
    """WSGI: `/metrics` for Prometheus; `/healthz` is 200 while database and broker answer, else 503."""

    def __init__(self, engine: Engine, broker_url: str) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(SweepCollector(engine, broker_url))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path not in ("/metrics", "/healthz"):
            return _answer(start_response, "404 Not Found", b"/metrics and /healthz are here\n")
        try:
            content = generate_latest(self._registry)
        except RecsweepError as error:
            return _answer(start_response, "503 Service Unavailable", f"{error}\n".encode())
        return _answer(start_response, "200 OK", content if path == "/metrics" else b"ok\n")


def serve_metrics(engine: Engine, broker_url: str, address: str, port: int) -> None:
    """Answer in a thread of its own until the process ends; raises ServiceError when the port is taken."""
    try:
        server = make_server(address, port, MetricsApp(engine, broker_url), handler_class=_QuietHandler)
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {address}:{port}: {error.strerror}; free the port or set METRICS_PORT"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("metrics at http://%s:%d/metrics", address, port)


class _QuietHandler(WSGIRequestHandler):
    """A scrape every few seconds is no change of state: not logged. A silent client is not waited for."""

    timeout = 5

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _answer(start_response: StartResponse, status: str, content: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", _CONTENT_TYPE), ("Content-Length", str(len(content)))])
    return [content]
