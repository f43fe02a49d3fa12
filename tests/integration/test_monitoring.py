"""The watcher's numbers, asked over HTTP, against what is in a real database and broker."""

import urllib.request
from collections.abc import Callable
from urllib.error import HTTPError

import pytest
import sqlalchemy

from scheduler.machine.ports import choose_ports
from scheduler.monitoring import MetricsApp, serve_metrics
from shared.errors import ServiceError
from shared.queue import publish_trials
from shared.store.database import create_engine
from tests.factories import make_queued

Ask = Callable[[str], tuple[int, str]]


def _ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def ask(engine: sqlalchemy.Engine, broker_url: str) -> Ask:
    port = choose_ports(["metrics"], {})["metrics"]
    serve_metrics(engine, broker_url, "127.0.0.1", port)
    return lambda path: _ask(f"http://127.0.0.1:{port}{path}")


def test_metrics_of_an_empty_database(ask: Ask) -> None:
    status, text = ask("/metrics")
    assert status == 200
    assert 'recsweep_trials{status="queued"} 0.0' in text
    assert "recsweep_epochs_total 0.0" in text
    assert "recsweep_last_success_timestamp_seconds" not in text


def test_queue_length_counts_waiting_messages(ask: Ask, broker_url: str) -> None:
    publish_trials(broker_url, [make_queued(1), make_queued(2), make_queued(3)])
    assert "recsweep_queue_length 3.0" in ask("/metrics")[1]


def test_healthy_while_database_and_broker_answer(ask: Ask) -> None:
    assert ask("/healthz") == (200, "ok\n")
    assert ask("/elsewhere")[0] == 404


def test_unhealthy_when_the_database_is_away() -> None:
    app = MetricsApp(create_engine("postgresql://nobody@127.0.0.1:1/none"), "redis://127.0.0.1:1/0")
    answered: list[str] = []
    [body] = app({"PATH_INFO": "/healthz"}, lambda status, _: answered.append(status))
    assert answered == ["503 Service Unavailable"]
    assert b"cannot be reached" in body


def test_a_taken_port_is_one_line(engine: sqlalchemy.Engine, broker_url: str) -> None:
    port = choose_ports(["metrics"], {})["metrics"]
    serve_metrics(engine, broker_url, "127.0.0.1", port)
    with pytest.raises(ServiceError, match=f"127.0.0.1:{port}.*METRICS_PORT"):
        serve_metrics(engine, broker_url, "127.0.0.1", port)
