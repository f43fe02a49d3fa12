"""The Celery app and all queue policy.

Redis delivers at least once: a message comes back after a lost worker or a passed visibility timeout.
Exactly-once is made by the claim of a trial in Postgres; the message only says "look at this row".
"""

import base64
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import redis
from celery import Celery
from celery.signals import worker_init
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared.domain.records import QueuedTrial
from shared.errors import ServiceError, SpecError
from shared.settings import Settings, load_settings

TASK_NAME = "train_architecture"
QUEUE_NAME = "recsweep"
SOFT_SHUTDOWN_SECONDS = 8.0
BROKER_TIMEOUT_SECONDS = 10.0

# A stopped Redis still accepts connections: without a limit its answer would be awaited for ever.
_IMPATIENT = {"socket_timeout": BROKER_TIMEOUT_SECONDS, "socket_connect_timeout": BROKER_TIMEOUT_SECONDS}

app = Celery("recsweep", include=["worker.task", "worker.process.heartbeat"])


def queue_policy(settings: Settings | None = None) -> dict[str, Any]:
    """Celery's configuration, read when it is first needed.

    Raises SpecError unless soft limit < hard limit < visibility timeout: otherwise a message would be
    delivered again while its first delivery still runs.
    """
    settings = settings or load_settings()
    soft, hard = settings.trial_soft_limit_seconds, settings.trial_hard_limit_seconds
    visibility = settings.visibility_timeout_seconds
    if not soft < hard < visibility:
        raise SpecError(
            "TRIAL_SOFT_LIMIT_SECONDS < TRIAL_HARD_LIMIT_SECONDS < VISIBILITY_TIMEOUT_SECONDS must hold; "
            f"got {soft}, {hard}, {visibility}: correct the environment"
        )
    return {
        "broker_url": settings.broker_url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis at its memory limit refuses commands: the worker connects again instead of ending.
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "visibility_timeout": visibility,
            "health_check_interval": 10,
            "socket_keepalive": True,
            "socket_connect_timeout": BROKER_TIMEOUT_SECONDS,
            "retry_on_timeout": True,
        },
        "task_default_queue": QUEUE_NAME,
        "task_ignore_result": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        # A task is acknowledged when it ends, and a worker takes no more than it can run.
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        # The lease brings back a trial whose process died; the message must not do so without a bound.
        "task_reject_on_worker_lost": False,
        "task_track_started": True,
        "task_soft_time_limit": soft,
        "task_time_limit": hard,
        # TensorFlow must not be forked: every task process is a fresh interpreter.
        "worker_pool": "worker.process.pool:TaskPool",
        "worker_pool_start_method": "spawn",
        "worker_proc_alive_timeout": 60.0,
        # TensorFlow gives the memory of compiled functions back only with its process.
        "worker_max_tasks_per_child": 4,
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_SECONDS,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Flower shows nothing without both.
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_hijack_root_logger": False,
    }


app.add_defaults(queue_policy)


@worker_init.connect  # type: ignore[untyped-decorator]
def _refuse_tensorflow_in_parent(**_: object) -> None:
    if "tensorflow" in sys.modules:
        raise RuntimeError("the worker's parent process must not import TensorFlow")


def publish_trials(broker_url: str, trials: Iterable[QueuedTrial]) -> None:
    """Send one message for each, in the order given; raises ServiceError.

    It carries the id of the trial, its label for the eye, and for which of its queueings it was sent.
    """
    app.conf.broker_url = broker_url
    try:
        with (
            app.connection_for_write(transport_options=_IMPATIENT) as connection,
            app.amqp.Producer(connection) as producer,
        ):
            for trial in trials:
                arguments = (trial.trial_id, trial.label, _queueing(trial))
                app.send_task(TASK_NAME, args=arguments, producer=producer)
    except (KombuError, RedisError, OSError) as error:
        raise ServiceError(
            f"cannot publish to the broker: {error}; is Redis running? See `make status`"
        ) from error


@dataclass(frozen=True)
class Messages:
    """What is in Redis: ids of trials whose message waits, ids and queueings of those delivered.

    A message that waits makes a worker look at the row, whenever it was sent. One that was delivered and is
    not acknowledged may have done its work: after an attempt has ended, or found nothing to do, the message
    is still there for a moment, or for hours when the worker was killed. So it counts for the queueing
    that it was sent for and for no later one. Version 0.1 did not say for which; those do not count once
    delivered, since a second message does no harm and a missing one does.
    """

    waiting: frozenset[int] = frozenset()
    delivered: frozenset[tuple[int, str]] = frozenset()

    def has(self, trial: QueuedTrial) -> bool:
        """Whether a message will bring this trial to a worker."""
        return trial.trial_id in self.waiting or (trial.trial_id, _queueing(trial)) in self.delivered


def find_messages(broker_url: str) -> Messages:
    """What is in Redis now. A killed worker leaves its messages delivered until the visibility timeout."""
    try:
        with _redis(broker_url) as client:
            waiting: list[bytes] = client.lrange(QUEUE_NAME, 0, -1)
            unacknowledged: list[bytes] = client.hvals("unacked")
    except RedisError as error:
        raise ServiceError(f"cannot read the broker's queue: {error}") from error
    return Messages(
        waiting=frozenset(trial_id for trial_id, _ in _read_messages(waiting)),
        delivered=frozenset(_read_messages(unacknowledged)),
    )


@dataclass(frozen=True)
class Worker:
    """A worker that answers. It does so before its task processes have loaded what they need."""

    n_processes: int
    uptime_seconds: float


def find_workers(broker_url: str, timeout_seconds: float = 1.5) -> dict[str, Worker]:
    """Every worker that answers within the time, by its name."""
    app.conf.broker_url = broker_url
    try:
        with app.connection_for_write(transport_options=_IMPATIENT) as connection:
            inspect = app.control.inspect(connection=connection, timeout=timeout_seconds)
            answers: dict[str, Any] = inspect.stats() or {}
    except (KombuError, RedisError, OSError) as error:
        raise ServiceError(f"cannot ask the workers by way of the broker: {error}") from error
    return {
        name: Worker(
            n_processes=len(answers[name].get("pool", {}).get("processes", ())),
            uptime_seconds=float(answers[name].get("uptime", 0)),
        )
        for name in sorted(answers)
    }


def require_broker(broker_url: str) -> None:
    """Raise ServiceError with the remedy unless Redis answers and takes messages."""
    try:
        with _redis(broker_url) as client:
            memory = client.info("memory")
    except RedisError as error:
        raise ServiceError(f"Redis does not answer: {error}; see `make status`") from error
    used, limit = int(memory["used_memory"]), int(memory["maxmemory"])
    if 0 < limit <= used:
        raise ServiceError(
            f"Redis has reached its memory limit: {used:,} bytes used, maxmemory {limit:,}; raise it, "
            "or remove what else it holds"
        )


def queue_length(broker_url: str) -> int:
    """Messages that wait for a worker."""
    try:
        with _redis(broker_url) as client:
            return int(client.llen(QUEUE_NAME))
    except RedisError as error:
        raise ServiceError(f"cannot read the broker's queue: {error}") from error


def _redis(broker_url: str) -> redis.Redis:
    return redis.Redis.from_url(
        broker_url, socket_connect_timeout=BROKER_TIMEOUT_SECONDS, socket_timeout=BROKER_TIMEOUT_SECONDS
    )


def _queueing(trial: QueuedTrial) -> str:
    """When it was queued, to the microsecond and the same in every time zone: no two queueings share it."""
    return trial.queued_at.astimezone(UTC).isoformat()


def _read_messages(entries: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Id and queueing in messages; what is no message of ours, whoever put it there, is passed over."""
    for entry in entries:
        with suppress(ValueError, LookupError, TypeError):
            message = json.loads(entry)
            if isinstance(message, list):
                # Delivered and not acknowledged: message, exchange, routing key.
                message = message[0]
            trial_id, _, *queueing = json.loads(base64.b64decode(message["body"]))[0]
            yield int(trial_id), str(queueing[0]) if queueing else ""
