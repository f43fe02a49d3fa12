"""The command behind `make verify`, with the URLs of a worker in the environment."""

import sys

import click
from sqlalchemy import Engine

from shared import store
from shared.console import console
from shared.datasets import load_prepared
from shared.errors import SpecError
from shared.settings import load_settings
from shared.store import Trial
from worker.process.compiled_programs import keep_compiled_programs
from worker.process.database import database_engine
from worker.trial import split_of
from worker.verify.differences import find_differences

# What holds for the users who are left when others were forgotten.
_RULES_WITHOUT_MODEL = ("duplicates", "order", "ranks", "rating_predictions", "seen_items")


@click.command()
@click.argument("sweep_id", type=int)
@click.option("--trial", "trial_id", type=int, default=None, help="Only the trial of this id.")
def main(sweep_id: int, trial_id: int | None) -> None:
    """Recompute the numbers and lists of a sweep and its refits, check the contract, say what differs."""
    settings = load_settings()
    keep_compiled_programs(settings.cache_dir)
    engine = database_engine()
    sweep = store.get_sweep(engine, sweep_id)
    artifact_root = store.artifact_root(engine, settings.artifacts)
    dataset = load_prepared(artifact_root, sweep.fingerprint, settings.cache_dir)
    n_forgotten = store.count_forgotten(engine, sweep.dataset_id)
    rules = _RULES_WITHOUT_MODEL if n_forgotten else None
    n_differences = 0
    if trial_id is not None and store.get_trial(engine, trial_id).sweep_id != sweep_id:
        raise SpecError(f"--trial must be the id of a trial of sweep {sweep_id}; got {trial_id}")
    for trials in (_ranked_trials(engine, sweep_id), store.refits_of_sweep(engine, sweep_id)):
        chosen = [trial for trial in trials if trial_id in (None, trial.trial_id)]
        if not chosen:
            continue
        split = split_of(chosen[0].refit_of, dataset, sweep.protocol)
        for trial in chosen:
            if trial.status != "succeeded":
                console.print(f"{trial.label}: not checked, it is {trial.status}")
                continue
            if n_forgotten:
                continue
            found = find_differences(engine, sweep, trial, dataset, split)
            n_differences += len(found.differences)
            not_kept = f" ({found.not_kept})" if found.not_kept else ""
            console.print(f"{trial.label}: {'; '.join(found.differences) or 'as stored'}{not_kept}")
        trial_ids = [trial.trial_id for trial in chosen if trial.has_lists]
        for one in store.verify_recommendations(
            engine, sweep.sweep_id, dataset, split, trial_ids, rules=rules
        ):
            n_differences += 1
            console.print(f"{one.label}: {one.check}: {one.n_rows} rows, such as {one.example}")
    which = f"Sweep {sweep_id}" if trial_id is None else f"Trial {trial_id} of sweep {sweep_id}"
    if n_differences:
        console.print(f"{which}: {n_differences} differences")
        sys.exit(1)
    if rules is not None:
        console.print(
            f"{which}: {n_forgotten:,} users of its ratings were forgotten since, so that nothing can be "
            "computed again from the saved models; the lists keep the rules that need none "
            f"({', '.join(rules)})"
        )
        return
    console.print(
        f"{which}: metrics, lists, rating predictions and results of users follow from the saved models, and "
        f"every list keeps the contract ({', '.join(name for name, _ in store.list_checks())})"
    )


def _ranked_trials(engine: Engine, sweep_id: int) -> list[Trial]:
    """The trials of a sweep, refits left out, in the order of its leaderboard."""
    trials = {trial.trial_id: trial for trial in store.sweep_trials(engine, sweep_id)}
    return [trials[row.trial_id] for row in store.leaderboard(engine, sweep_id)]
