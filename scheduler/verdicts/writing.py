"""Verdicts of a stored sweep: read the results of users, judge, store."""

import logging
import threading
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Engine

from scheduler.verdicts.judging import NOT_KEPT, Contender, configuration_of, judge
from scheduler.verdicts.measures import Float64s, Measure, measure_of
from scheduler.verdicts.resampling import Estimate, estimate, trials_at_once
from shared import store
from shared.domain.protocol import Protocol
from shared.stop_signal import StopSignal
from shared.store import RankedTrial, Sweep

# Results that change while they are judged are judged again; a sweep that grows faster waits for its end.
_N_TRIES = 3

logger = logging.getLogger(__name__)


def judge_ended(engine: Engine, stopped: threading.Event | StopSignal) -> None:
    """Write the verdicts of the sweeps that have ended since, one after the other until `stopped` is set."""
    for sweep_id in store.sweeps_to_judge(engine):
        if stopped.wait(0):
            return
        if write_verdicts(engine, store.get_sweep(engine, sweep_id)):
            logger.info("sweep %d: verdicts written", sweep_id)


def ensure_verdicts(engine: Engine, sweep: Sweep) -> bool:
    """Have the verdicts of all results of a sweep stored; False where trials are queued or running."""
    for _ in range(_N_TRIES):
        state = store.judged_state(engine, sweep.sweep_id)
        if state == "judged":
            return True
        if state == "open":
            return False
        write_verdicts(engine, sweep)
    return store.judged_state(engine, sweep.sweep_id) == "judged"


def write_verdicts(engine: Engine, sweep: Sweep) -> bool:
    """Judge the trials of a sweep and store that; False where its results changed meanwhile."""
    trials = store.ranked_trials(engine, sweep.sweep_id)
    measure, split = measure_of(sweep.protocol.objective), judging_part(sweep.protocol)
    verdicts = judge(
        _contenders(engine, trials, measure, split),
        sweep.protocol.objective,
        split,
        is_larger_better=measure.is_larger_better,
    )
    return store.save_verdicts(engine, sweep.sweep_id, verdicts)


def judging_part(protocol: Protocol) -> str:
    """The part of the split whose users judge: the test where there is one."""
    return "test" if protocol.test_fraction > 0 else "validation"


def _contenders(
    engine: Engine, trials: Sequence[RankedTrial], measure: Measure, split: str
) -> list[Contender]:
    """Every trial with its estimate or the reason why it has none; some are read at a time."""
    reasons = {trial.trial_id: _why_not_read(trial, split) for trial in trials}
    estimates: dict[int, Estimate] = {}
    batch: dict[int, Float64s] = {}
    users, denominator = None, np.zeros(0)

    def finish() -> None:
        if batch:
            found = estimate(measure, np.array(list(batch.values())), denominator)
            estimates.update(zip(batch, found, strict=True))
            batch.clear()

    for trial in trials:
        if reasons[trial.trial_id]:
            continue
        results = store.stored_user_results(engine, trial.trial_id, split, measure.column)
        is_judged, numerator, of_trial = measure.sums(results)
        judging = results.user_ids[is_judged]
        if not len(judging):
            reasons[trial.trial_id] = f"the objective judges nobody in the {split} part"
            continue
        if users is None:
            users, denominator = judging, of_trial
        elif not (np.array_equal(users, judging) and np.array_equal(denominator, of_trial)):
            reasons[trial.trial_id] = "other users judge it than the trials above: see `make verify`"
            continue
        batch[trial.trial_id] = numerator
        if len(batch) >= trials_at_once(len(users)):
            finish()
    finish()
    return [
        Contender(
            trial_id=trial.trial_id,
            label=trial.label,
            configuration=configuration_of(trial.config),
            estimate=estimates.get(trial.trial_id),
            reason=reasons[trial.trial_id],
            is_comparable=trial.value is not None,
        )
        for trial in trials
    ]


def _why_not_read(trial: RankedTrial, split: str) -> str:
    """Why a trial has no results of users that could be read; empty where it has some."""
    if trial.value is None:
        return "the objective does not judge it"
    if not trial.parts:
        return NOT_KEPT
    return "" if split in trial.parts else f"nobody has a rating in the {split} part"
