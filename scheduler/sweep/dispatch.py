"""From a sweep file to queued trials. Rerunnable: a second call leaves no trial lost or doubled."""

import logging
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from math import inf

from sqlalchemy import Engine

from scheduler.sweep.asked import asked_configs
from scheduler.sweep.search.counting import n_to_choose
from scheduler.sweep.spec import SweepSpec
from shared import store
from shared.artifacts import artifact_exists, delete_artifact
from shared.datasets import Dataset, store_prepared
from shared.domain.trial import TrialConfig
from shared.errors import TrialError
from shared.queue import find_messages, publish_trials
from shared.store import Proposal, QueuedTrial, Sweep, Trial
from shared.version import code_version

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a sweep file asks for, beside what is stored: labels by what happens to them.

    `n_to_choose`: how many trials its search is still to choose, as far as it counts trials.
    """

    to_run: tuple[TrialConfig, ...]
    n_done: int
    n_running: int
    n_queued: int
    n_failed: int
    n_to_choose: int = 0
    n_stopped: int = 0

    @property
    def n_trials(self) -> int:
        """All trials the sweep file asks for, those that its search will choose too."""
        n_known = len(self.to_run) + self.n_done + self.n_running + self.n_queued + self.n_stopped
        return n_known + self.n_to_choose

    def __str__(self) -> str:
        text = f"to run {len(self.to_run)}, done {self.n_done}, running {self.n_running}"
        text += f", queued {self.n_queued}" if self.n_queued else ""
        text += f", to choose {self.n_to_choose}" if self.n_to_choose else ""
        text += f", stopped {self.n_stopped}" if self.n_stopped else ""
        return f"{text}, failed {self.n_failed}" + (" (to run again)" if self.n_failed else "")


def make_plan(
    configs: Sequence[TrialConfig], stored: Sequence[Trial], reprieved: Container[int] = ()
) -> Plan:
    """Pure: trials that never ran, failed or were cancelled are to run; the rest is as it is.

    `reprieved`: the ids of stopped trials that the sweep file as it is now lets go on: they are to run too.
    """
    asked = {config.config_hash for config in configs}
    of_file = [trial for trial in stored if trial.config_hash in asked]
    again = {trial.config_hash for trial in of_file if _runs_again(trial, reprieved)}
    known = {trial.config_hash for trial in of_file}
    to_run = tuple(c for c in configs if c.config_hash in again or c.config_hash not in known)
    counts = Counter(trial.status for trial in of_file)
    return Plan(
        to_run=to_run,
        n_done=counts["succeeded"],
        n_running=counts["running"],
        n_queued=counts["queued"],
        n_failed=counts["failed"],
        n_stopped=sum(trial.status == "stopped" and trial.trial_id not in reprieved for trial in of_file),
    )


def plan_of(
    spec: SweepSpec,
    stored: Sequence[Trial],
    proposals: Sequence[Proposal] = (),
    reprieved: Container[int] = (),
) -> Plan:
    """Pure: the trials that the file asks for, beside those that are stored."""
    plan = make_plan(asked_configs(spec, stored, proposals), stored, reprieved)
    return replace(plan, n_to_choose=n_to_choose(spec, stored, proposals))


def _runs_again(trial: Trial, reprieved: Container[int]) -> bool:
    return trial.status in ("failed", "cancelled") or trial.trial_id in reprieved


def stored_trials(engine: Engine, spec: SweepSpec, dataset: Dataset) -> tuple[list[Trial], list[Proposal]]:
    """Trials and proposals of the stored sweep that this file and data set would continue; reads only."""
    dataset_id = store.find_dataset(engine, dataset.fingerprint)
    if dataset_id is None:
        return [], []
    sweep = store.find_sweep(engine, spec.name, dataset_id, spec.protocol.protocol_hash)
    if sweep is None:
        return [], []
    return store.sweep_trials(engine, sweep.sweep_id), store.sweep_proposals(engine, sweep.sweep_id)


def dispatch(
    engine: Engine,
    broker_url: str,
    artifact_root: str,
    spec: SweepSpec,
    dataset: Dataset,
    *,
    fresh: bool,
    source: str | None = None,
) -> tuple[Sweep, Plan]:
    """Store the data set, the sweep and its trials, then publish what has no message yet.

    `fresh` starts a new sweep beside the stored one. `source`: what gave the data set just now.
    """
    store_prepared(artifact_root, dataset)
    open_sweep = store.create_sweep if fresh else store.ensure_sweep
    sweep = open_sweep(
        engine,
        spec.name,
        store.save_dataset(engine, dataset, source),
        spec=dict(spec.document),
        protocol=spec.protocol,
        code_version=code_version(),
        lists_kept=spec.lists_kept,
    )
    stored = store.sweep_trials(engine, sweep.sweep_id)
    reprieved = store.reprieved_trials(engine, stored, spec.protocol, spec.stopping)
    plan = plan_of(spec, stored, store.sweep_proposals(engine, sweep.sweep_id), reprieved)
    store.add_trials(engine, sweep.sweep_id, plan.to_run)
    to_run = {config.config_hash for config in plan.to_run}
    store.requeue_trials(engine, [t.trial_id for t in stored if t.config_hash in to_run])
    if spec.grows:
        store.begin_growing(engine, sweep.sweep_id)
    missing = [t for t in missing_trials(engine, broker_url) if t.sweep_id == sweep.sweep_id]
    publish(broker_url, missing)
    return sweep, plan


def publish(broker_url: str, trials: Sequence[QueuedTrial]) -> list[QueuedTrial]:
    """Send a message for each trial; returns them in the order sent."""
    if not trials:
        return []
    ordered = by_cost(trials)
    publish_trials(broker_url, ordered)
    return ordered


def missing_trials(engine: Engine, broker_url: str) -> list[QueuedTrial]:
    """Queued trials of all sweeps that no message in the broker will bring to a worker."""
    queued = store.queued_trials(engine)
    if not queued:
        return []
    messages = find_messages(broker_url)
    return [trial for trial in queued if not messages.has(trial)]


def remove_old_checkpoints(artifacts_url: str, trial_ids: Sequence[int]) -> None:
    """Remove what version 0.1 left of these trials in a folder of its own: nothing resumes from it."""
    folder = f"{artifacts_url}/checkpoints"
    try:
        if artifact_exists(folder):
            for trial_id in trial_ids:
                delete_artifact(f"{folder}/{trial_id}.npz")
    except (TrialError, OSError) as error:
        logger.warning("old checkpoints are left in %s: %s", folder, error)


def by_cost(trials: Sequence[QueuedTrial]) -> list[QueuedTrial]:
    """The most expensive first, so that the last trial to end is a short one.

    One whose configuration cannot be read comes before all: the worker that takes it fails it at once.
    """
    return sorted(trials, key=lambda trial: trial.config.expected_cost if trial.config else inf, reverse=True)
