"""From a sweep file to queued trials. Rerunnable: a second call leaves no trial lost or doubled."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from sqlalchemy import Engine

from scheduler.sweep.expand import expand, expected_cost
from scheduler.sweep.spec import SweepSpec
from shared import store
from shared.artifacts import artifact_exists, delete_folder, write_artifact
from shared.datasets import Dataset
from shared.domain.architecture import TrialConfig
from shared.errors import TrialError
from shared.queue import publish_trials, published_trials
from shared.store import Sweep, Trial
from shared.version import code_version

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """What a sweep file asks for, beside what is stored: labels by what happens to them."""

    to_run: tuple[TrialConfig, ...]
    n_done: int
    n_running: int
    n_queued: int
    n_failed: int

    @property
    def n_trials(self) -> int:
        """All trials the sweep file asks for."""
        return len(self.to_run) + self.n_done + self.n_running + self.n_queued

    def __str__(self) -> str:
        text = f"to run {len(self.to_run)}, done {self.n_done}, running {self.n_running}"
        text += f", queued {self.n_queued}" if self.n_queued else ""
        return f"{text}, failed {self.n_failed}" + (" (to run again)" if self.n_failed else "")


def make_plan(configs: Sequence[TrialConfig], stored: Sequence[Trial]) -> Plan:
    """Pure: trials that never ran, failed or were cancelled are to run; the rest is as it is."""
    by_hash = {trial.config.config_hash: trial for trial in stored}
    status = {c.config_hash: by_hash[c.config_hash].status for c in configs if c.config_hash in by_hash}
    to_run = tuple(c for c in configs if status.get(c.config_hash, "failed") in ("failed", "cancelled"))
    counts = Counter(status.values())
    return Plan(
        to_run=to_run,
        n_done=counts["succeeded"],
        n_running=counts["running"],
        n_queued=counts["queued"],
        n_failed=counts["failed"],
    )


def stored_trials(engine: Engine, spec: SweepSpec, dataset: Dataset) -> list[Trial]:
    """Trials of the stored sweep that this file and data set would continue; reads only."""
    dataset_id = store.find_dataset(engine, dataset.fingerprint)
    if dataset_id is None:
        return []
    sweep = store.find_sweep(engine, spec.name, dataset_id, spec.protocol.protocol_hash)
    return store.sweep_trials(engine, sweep.sweep_id) if sweep else []


def dispatch(
    engine: Engine, broker_url: str, artifacts_url: str, spec: SweepSpec, dataset: Dataset, *, fresh: bool
) -> tuple[Sweep, Plan]:
    """Store the data set, the sweep and its trials, then publish what has no message yet.

    `fresh` starts a new sweep beside the stored one.
    """
    _store_prepared(artifacts_url, dataset)
    open_sweep = store.create_sweep if fresh else store.ensure_sweep
    sweep = open_sweep(
        engine,
        spec.name,
        store.save_dataset(engine, dataset),
        spec=dict(spec.source),
        protocol=spec.protocol,
        code_version=code_version(),
    )
    stored = store.sweep_trials(engine, sweep.sweep_id)
    plan = make_plan(expand(spec), stored)
    store.add_trials(engine, sweep.sweep_id, plan.to_run)
    to_run = {config.config_hash for config in plan.to_run}
    store.requeue_trials(engine, [t.trial_id for t in stored if t.config.config_hash in to_run])
    missing = [t for t in missing_trials(engine, broker_url) if t.sweep_id == sweep.sweep_id]
    publish(engine, broker_url, missing)
    return sweep, plan


def publish(engine: Engine, broker_url: str, trials: Sequence[Trial]) -> list[Trial]:
    """Send a message for each trial and note when; returns them in the order sent."""
    if not trials:
        return []
    ordered = by_cost(trials)
    publish_trials(broker_url, [(trial.trial_id, trial.label) for trial in ordered])
    store.mark_published(engine, [trial.trial_id for trial in ordered])
    return ordered


def missing_trials(engine: Engine, broker_url: str) -> list[Trial]:
    """Queued trials of all sweeps that have no message in the broker."""
    queued = store.queued_trials(engine)
    if not queued:
        return []
    published = published_trials(broker_url)
    return [trial for trial in queued if trial.trial_id not in published]


def remove_old_checkpoints(artifact_url: str) -> None:
    """Remove what version 0.1 left in a folder of its own: nothing resumes from it, no `prune` finds it."""
    url = f"{artifact_url}/checkpoints"
    try:
        delete_folder(url)
    except TrialError as error:
        logger.warning("old checkpoints are left in %s: %s", url, error)


def by_cost(trials: Sequence[Trial]) -> list[Trial]:
    """The most expensive first, so that the last trial to end is a short one."""
    return sorted(trials, key=lambda trial: expected_cost(trial.config), reverse=True)


def _store_prepared(artifacts_url: str, dataset: Dataset) -> None:
    """Put the prepared data set where every worker finds it, once per fingerprint."""
    url = f"{artifacts_url}/datasets/{dataset.fingerprint}.npz"
    if not artifact_exists(url):
        content = BytesIO()
        dataset.write(content)
        write_artifact(url, content.getvalue())
