"""`make recommend HISTORY=…`: the worker's code, on the trial that the scheduler found."""

import os
import sys
from typing import NoReturn, cast

from sqlalchemy import Engine

from scheduler.commands.connection import open_store, require_sweep
from scheduler.commands.verification import worker_environment
from shared import store
from shared.domain.families import FAMILIES
from shared.errors import SpecError
from shared.settings import load_settings
from shared.store import Sweep, Trial


def recommend_for_history(history: str, label: str | None, sweep_name: str | None) -> NoReturn:
    """Show what is recommended to somebody with this history; the process becomes that command.

    By the trial of this label, else by the one that is served for the data set of the latest sweep.
    Raises SpecError where its family can only score users that it was trained on.
    """
    settings = load_settings()
    engine, endpoints = open_store(settings)
    trial = _find_trial(engine, require_sweep(engine, sweep_name), label)
    family = trial.config.family
    if not trial.config.architecture.scores_histories:
        # Of a family that does so in some of its configurations it is a property, which is true too.
        able = ", ".join(sorted(name for name, one in FAMILIES.items() if cast(object, one.scores_histories)))
        raise SpecError(
            f"{trial.label} is of family {family}, which scores only users that it was trained on; families "
            f"that score a history are {able}: name a trial of one with TRIAL=label"
        )
    engine.dispose()
    # After "--" a history may begin with a minus, as ids may.
    command = [sys.executable, "-m", "worker.recommend", str(trial.trial_id), "--", history]
    os.execve(command[0], command, os.environ | worker_environment(settings, endpoints))  # noqa: S606


def _find_trial(engine: Engine, sweep: Sweep, label: str | None) -> Trial:
    if label is None:
        served = store.served_trial(engine, sweep.dataset_name)
        if served is None:
            raise SpecError(
                f"nothing is served for {sweep.dataset_name} yet: name a trial with TRIAL=label, or let a "
                "sweep end"
            )
        return store.get_trial(engine, served.trial_id)
    trial = store.find_trial(engine, sweep.sweep_id, label)
    if trial is None or trial.status != "succeeded":
        state = "no such trial" if trial is None else f"its state is {trial.status}"
        raise SpecError(
            f"TRIAL must be a succeeded trial of sweep {sweep.sweep_id}; got {label!r}: {state}; see "
            "`make leaderboard`"
        )
    return trial
