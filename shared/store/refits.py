"""Refits: trials of their own that learn from all ratings what a chosen trial learned from a part."""

from sqlalchemy import Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.records import Trial
from shared.store.blends import add_refitted_parts
from shared.store.database import transaction
from shared.store.trials import INSERT_TRIAL, SELECT_TRIALS, requeue_trials, to_trial, trial_row

_SUFFIX = "_refit"

_ADD = text(INSERT_TRIAL + "on conflict (refit_of) where refit_of is not null do nothing").bindparams(
    bindparam("config", type_=JSONB)
)
_OF_CHOSEN = text(SELECT_TRIALS + "where trials.refit_of = :chosen_id")
_OF_SWEEP = text(
    SELECT_TRIALS
    + "where trials.sweep_id = :sweep_id and trials.refit_of is not null order by trials.trial_id"
)
_OPEN = text(
    SELECT_TRIALS
    + "where trials.refit_of is not null and trials.status in ('queued', 'running') order by trials.trial_id"
)


def queue_refit(engine: Engine, chosen: Trial, max_attempts: int = 3) -> Trial:
    """Queue the refit of a trial; gives it as it was then.

    It has the configuration of the chosen trial, and as many of its epochs as were best: nothing is held out
    that could say when to stop. A trial has one refit: where it is there already it goes on as it is. One
    that had failed or was cancelled is queued again, with all its attempts. That of a blend is of the refits
    of its parts, which are there by then, with the weights that the blend has.
    """
    row = trial_row(chosen.sweep_id, chosen.config, max_attempts)
    row |= {"label": f"{chosen.label}{_SUFFIX}", "refit_of": chosen.trial_id}
    with transaction(engine) as connection:
        connection.execute(_ADD, row)
        refit = to_trial(connection.execute(_OF_CHOSEN, {"chosen_id": chosen.trial_id}).one())
        add_refitted_parts(connection, chosen.trial_id, refit.trial_id)
    requeue_trials(engine, [refit.trial_id])
    return refit


def refits_of_sweep(engine: Engine, sweep_id: int) -> list[Trial]:
    """The refits of trials of a sweep in the order in which they were added."""
    with transaction(engine) as connection:
        return [to_trial(row) for row in connection.execute(_OF_SWEEP, {"sweep_id": sweep_id})]


def open_refits(engine: Engine) -> list[Trial]:
    """The refits of all sweeps that are queued or running, in the order in which they were added."""
    with transaction(engine) as connection:
        return [to_trial(row) for row in connection.execute(_OPEN)]
