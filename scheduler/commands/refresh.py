"""`make refresh`: what is served, trained anew on what its source gives now, checked, and only then served.

Made for cron. Nobody but this command serves a refresh: while it does not run, what is served stays as it is.
"""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

import click
import numpy as np
from sqlalchemy import Engine

from scheduler.commands.named_data import error_options, leave_out_forgotten, resolve_named_data
from scheduler.commands.serving import print_served
from scheduler.commands.verification import verifying
from scheduler.machine import Endpoints, ensure_services
from scheduler.progress import watch_trial
from scheduler.refresh.checks import (
    Bounds,
    Check,
    check_change,
    check_newest,
    check_users_kept,
    check_users_listed,
    n_vanished,
    skip_newest,
)
from scheduler.refresh.newest import (
    lists_in,
    ndcg_of_users,
    new_ratings,
    places,
    rehearsal_protocol,
)
from scheduler.refresh.source import source_of
from scheduler.sweep.dispatch import missing_trials, publish
from scheduler.sweep.refit import dispatch_refit
from shared import store
from shared.console import console
from shared.datasets import (
    REGISTRY,
    Dataset,
    ResolvedDataset,
    SourceOptions,
    load_prepared,
    split_ratings,
    store_prepared,
)
from shared.datasets.sources.left_out import OnError
from shared.domain.protocol import Protocol
from shared.ending import INTERRUPTED, run_in_foreground
from shared.errors import SpecError
from shared.settings import Settings, load_settings
from shared.store import ServedTrial, Sweep, Trial
from shared.store.database import create_engine
from shared.version import code_version

_SHARE = click.FloatRange(min=0, max=1)


@click.command()
@click.option("--dataset", "dataset_name", envvar="DATASET", default=None, help="Name of a stored data set.")
@click.option(
    "--margin", envvar="MARGIN", type=_SHARE, default=Bounds.margin, help="How much worse it may be."
)
@click.option(
    "--coverage", envvar="COVERAGE", type=_SHARE, default=Bounds.coverage, help="Users still there."
)
@click.option(
    "--max-changed", envvar="MAX_CHANGED", type=_SHARE, default=Bounds.max_changed, help="Of entries."
)
@error_options
def refresh(  # noqa: PLR0917  Its options.
    dataset_name: str | None,
    margin: float,
    coverage: float,
    max_changed: float,
    on_error: OnError | None,
    max_skipped: int | None,
) -> None:
    """Read the source of what is promoted again; where it has changed, train, check and serve anew."""
    settings = load_settings()
    # As `make promote` does: it needs workers.
    endpoints = ensure_services(settings)
    engine = create_engine(endpoints.database_url)
    name = _choose(engine, dataset_name)
    with store.refresh_lock(endpoints.database_url, name) as is_ours:
        if not is_ours:
            console.print(f"{name} is being refreshed by somebody else already: nothing is done here.")
            return
        source = source_of(store.dataset_versions(engine, name))
        options = SourceOptions(None if source in REGISTRY else name, on_error, max_skipped)
        resolved = resolve_named_data(source, options, settings)
        _refresh(settings, endpoints, engine, resolved, Bounds(margin, coverage, max_changed))


@dataclass(frozen=True)
class _Work:
    """What is served, what its source gives now, and all that is needed to compare them."""

    settings: Settings
    endpoints: Endpoints
    engine: Engine
    name: str
    served: ServedTrial
    older: Dataset
    newer: Dataset
    bounds: Bounds

    @property
    def command(self) -> str:
        """What goes on with it, whatever has been done so far."""
        return f"make refresh DATASET={self.name}"


def _choose(engine: Engine, name: str | None) -> str:
    """The data set that is named, else the only one for which something is promoted."""
    promoted = store.promoted_names(engine)
    known = f"promoted are trials for {', '.join(promoted)}" if promoted else "nothing is promoted yet"
    if name is None:
        if len(promoted) != 1:
            raise SpecError(
                "a refresh is of one data set for which a trial is promoted: "
                + (f"name one with DATASET=; {known}" if promoted else f"{known}: make promote TRIAL=label")
            )
        return promoted[0]
    if name not in promoted:
        raise SpecError(f"nothing is promoted for {name!r}, so nothing can be refreshed; {known}")
    return name


def _refresh(
    settings: Settings, endpoints: Endpoints, engine: Engine, resolved: ResolvedDataset, bounds: Bounds
) -> None:
    name, source = resolved.dataset.name, resolved.source
    served = store.served_trial(engine, name)
    if served is None:
        raise SpecError(f"what was promoted for {name} is gone: make promote TRIAL=label")
    newer = leave_out_forgotten(engine, resolved.dataset)
    if newer.fingerprint == served.fingerprint:
        store.save_dataset(engine, newer, source)
        console.print(
            f"Nothing changed: {source} gives the {newer.n_ratings:,} ratings that {served.label} of sweep "
            f"{served.sweep_id} was made for, version {newer.fingerprint}."
        )
        return
    root = store.artifact_root(engine, settings.artifacts)
    older = load_prepared(root, served.fingerprint, settings.cache_dir)
    work = _Work(settings, endpoints, engine, name, served, older, newer, bounds)
    console.print(
        f"{name} has changed: its source {source} gave {_counted(older)}, version {served.fingerprint}, "
        f"and gives {_counted(newer)}, version {newer.fingerprint}"
    )
    # Before anything is stored or trained: a source that was cut short costs nothing.
    _require(work, check_users_kept(older, newer, bounds))
    protocol, why_not = rehearsal_protocol(older, newer, _sweep(engine, served.sweep_id).protocol)
    store_prepared(root, newer)
    dataset_id = store.save_dataset(engine, newer, source)
    try:
        rehearsal = _rehearse(work, dataset_id, protocol)
        _require(work, skip_newest(why_not) if why_not else _judge(work, rehearsal))
        refit = _refit(work, rehearsal)
        _verify(work, refit)
        _require(work, *_check_lists(work, refit))
        _serve(work, refit)
    except KeyboardInterrupt:
        console.print()
        console.print(
            "Interrupted: what is queued goes on being trained (to stop it: make cancel), and what is served "
            f"stays as it is. The same command goes on from there: {work.command}"
        )
        sys.exit(INTERRUPTED)


def _rehearse(work: _Work, dataset_id: int, protocol: Protocol) -> Trial:
    """The rehearsal of what is served, trained; of a blend, those of its parts before it."""
    engine, served_id = work.engine, work.served.trial_id
    part_ids = [part.trial_id for part in store.parts_of(engine, served_id)]
    for trial_id in (*part_ids, served_id):
        rehearsal = store.ensure_refresh(
            engine, trial_id, dataset_id, protocol, code_version(), served_id=served_id
        )
        trained = _train(work, rehearsal, "it learns without the newest ratings, by which it is judged")
    return trained


def _refit(work: _Work, rehearsal: Trial) -> Trial:
    """The refit of the rehearsal, trained; of a blend, those of its parts before it."""
    engine, broker_url = work.engine, work.endpoints.broker_url
    parts = [store.get_trial(engine, one.trial_id) for one in store.parts_of(engine, rehearsal.trial_id)]
    for trial in (*parts, rehearsal):
        refit = _train(work, dispatch_refit(engine, broker_url, trial), "it learns from all ratings")
    return refit


def _train(work: _Work, trial: Trial, how: str) -> Trial:
    """Return when the trial has succeeded, else end the command here. KeyboardInterrupt passes through."""
    engine, broker_url = work.engine, work.endpoints.broker_url
    if trial.status == "succeeded":
        console.print(f"{trial.label} of sweep {trial.sweep_id} is trained already.")
        return trial
    publish(broker_url, [one for one in missing_trials(engine, broker_url) if one.trial_id == trial.trial_id])
    epochs = f", {trial.n_epochs} epochs" if trial.n_epochs else ""
    console.print(
        f"{trial.label} of sweep {trial.sweep_id} on version {work.newer.fingerprint}{epochs}: {how}"
    )
    trial = watch_trial(engine, broker_url, trial.trial_id, console)
    if trial.status == "failed":
        console.print(f"failed: {trial.label}: {trial.error_reason}: {trial.error_message}", style="red")
    elif trial.status == "cancelled":
        console.print(f"{trial.label} was cancelled.")
    else:
        return trial
    return _keep(work, f"To run it again: {work.command}   Its log: make logs TRIAL={trial.label}")


def _judge(work: _Work, rehearsal: Trial) -> Check:
    """The rehearsal and the lists that are served, on the same new ratings of the same users."""
    engine, older, newer = work.engine, work.older, work.newer
    protocol = _sweep(engine, rehearsal.sweep_id).protocol
    judging = new_ratings(older, newer, protocol)
    results = store.stored_user_results(engine, rehearsal.trial_id, "validation", "ndcg")
    of_user = np.full(newer.n_users, np.nan)
    of_user[places(results.user_ids, newer.user_ids)] = results.values["ndcg"]
    lists = store.stored_recommendations(engine, work.served.trial_id, older)
    served = lists_in(newer, older, lists, split_ratings(newer, protocol).train, judging.users)
    return check_newest(
        of_user[judging.users],
        ndcg_of_users(served, judging, newer.n_items, protocol.k),
        f"ndcg@{protocol.k}",
        len(judging.item),
        work.bounds,
    )


def _verify(work: _Work, refit: Trial) -> None:
    """Compute the refit's lists again from its saved model and check their contract, else end here."""
    console.print(f"Verifying the lists of {refit.label}:")
    sys.stdout.flush()
    # Its connections would stand idle meanwhile.
    work.engine.dispose()
    command, environment = verifying(work.settings, work.endpoints, refit.sweep_id, trial_id=refit.trial_id)
    code = run_in_foreground(command, os.environ | environment)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    _require(work, Check("lists follow from the model", "computed again", "", code == 0))


def _check_lists(work: _Work, refit: Trial) -> list[Check]:
    change = store.compare_lists(work.engine, refit.trial_id, work.served.trial_id)
    min_support = _sweep(work.engine, refit.sweep_id).protocol.min_support
    return [
        check_users_listed(change.n_users, work.newer, min_support),
        check_change(change, work.bounds),
    ]


def _require(work: _Work, *checks: Check) -> None:
    """Print every check with its number and its bound; end the command where one has failed."""
    for check in checks:
        console.print(str(check), style="red" if check.has_passed is False else "")
    failed = [check.name for check in checks if check.has_passed is False]
    if failed:
        _keep(work, f"The new lists are not served: {', '.join(failed)}.")


def _serve(work: _Work, refit: Trial) -> None:
    served = work.served
    note = f"refresh of {served.label} of sweep {served.sweep_id}, version {served.fingerprint}"
    promotion = store.promote_trial(
        work.engine, refit.trial_id, refit.sweep_id, note, instead_of=served.trial_id
    )
    console.print(f"Promotion {promotion.promotion_id} for data set {work.name}: {promotion.note}")
    print_served(work.engine, work.name)


def _keep(work: _Work, why: str) -> NoReturn:
    """End with what is served as it was, and say who is served though the source has them no more."""
    console.print(why)
    console.print("What is served stays as it was.")
    vanished = n_vanished(work.older, work.newer)
    if vanished:
        console.print(
            f"{vanished:,} users who are gone from the source are still served. To take one out now: "
            f"make forget USER=… DATASET={work.name}"
        )
    print_served(work.engine, work.name)
    sys.exit(1)


def _sweep(engine: Engine, sweep_id: int) -> Sweep:
    return store.get_sweep(engine, sweep_id)


def _counted(dataset: Dataset) -> str:
    return f"{dataset.n_ratings:,} ratings of {dataset.n_users:,} users"
