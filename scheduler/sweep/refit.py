"""From a chosen trial to its queued refit: the architecture trained once more, on all ratings."""

import shlex

from sqlalchemy import Engine

from scheduler.sweep.dispatch import missing_trials, publish
from shared import store
from shared.errors import SpecError
from shared.store import Sweep, Trial


def find_chosen(engine: Engine, sweep: Sweep, label_or_id: str) -> Trial:
    """The trial of this label or id that is to be refitted; that of a refit means its chosen trial.

    Raises SpecError unless it has succeeded, on the newest version of the ratings that was swept.
    """
    trial = store.find_trial(engine, sweep.sweep_id, label_or_id)
    if trial is not None and trial.refit_of is not None:
        trial = store.get_trial(engine, trial.refit_of)
    if trial is None or trial.status != "succeeded":
        state = "no such trial" if trial is None else f"its state is {trial.status}"
        raise SpecError(
            f"only a succeeded trial of sweep {sweep.sweep_id} can be promoted; got {label_or_id!r}: {state};"
            " see `make leaderboard`"
        )
    served = store.served_trial(engine, sweep.dataset_name)
    # What a refresh read counts once it is served: it may have been refused.
    newest = next(
        one
        for one in store.list_sweeps(engine)
        if one.dataset_name == sweep.dataset_name
        and (not one.is_refresh or (served is not None and one.sweep_id == served.sweep_id))
    )
    if newest.dataset_id != sweep.dataset_id:
        raise SpecError(
            f"a refit learns from the newest ratings of {sweep.dataset_name}, version {newest.fingerprint}; "
            f"sweep {sweep.sweep_id} was run on version {sweep.fingerprint}: run `make sweep "
            f"SWEEP={shlex.quote(sweep.name)}` on the newest, or serve the trial as it is with REFIT=0"
        )
    if store.count_forgotten(engine, sweep.dataset_id):
        raise SpecError(
            f"users of version {sweep.fingerprint} of {sweep.dataset_name} were forgotten, so it is learned "
            f"from no more: run `make sweep SWEEP={shlex.quote(sweep.name)}` on what its source gives "
            "now, or serve the trial as it is with REFIT=0"
        )
    return trial


def dispatch_refit(engine: Engine, broker_url: str, chosen: Trial) -> Trial:
    """Queue the refit of a trial, or go on with the one that it has; gives it as it was before.

    Rerunnable: a second call neither makes a second refit nor a second message.
    """
    refit = store.queue_refit(engine, chosen)
    publish(
        broker_url,
        [trial for trial in missing_trials(engine, broker_url) if trial.trial_id == refit.trial_id],
    )
    return refit
