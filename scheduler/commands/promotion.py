"""`make promote`: from a chosen trial to the lists of its refit, verified and served.

Nobody but this command serves a refit: while it does not run, what is served stays as it is.
"""

import os
import shlex
import sys
from dataclasses import dataclass
from typing import NoReturn

import click
from sqlalchemy import Engine

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.commands.serving import NOTE_OPTION, print_served
from scheduler.commands.verification import verifying
from scheduler.machine import Endpoints, ensure_services
from scheduler.progress import watch_trial
from scheduler.sweep.refit import dispatch_refit, find_chosen
from shared import store
from shared.console import console, describe_data
from shared.ending import INTERRUPTED, run_in_foreground
from shared.errors import SpecError
from shared.settings import Settings, load_settings
from shared.store import ClaimedPart, Sweep, Trial
from shared.store.database import create_engine


@click.command()
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a succeeded trial.")
@SWEEP_OPTION
@NOTE_OPTION
@click.option("--refit/--no-refit", envvar="REFIT", default=True, help="Else the trial as it is is served.")
def promote(label: str | None, sweep_name: str | None, note: str, refit: bool) -> None:
    """Train a trial once more on all ratings, and serve that in best_recommendations until rolled back."""
    if not label:
        raise SpecError("which trial? make promote TRIAL=label; `make leaderboard` lists them")
    settings = load_settings()
    if not refit:
        engine, _ = open_store(settings)
        _serve(engine, require_sweep(engine, sweep_name), label, note)
        return
    # As `make sweep` does: the refit needs workers.
    endpoints = ensure_services(settings)
    engine = create_engine(endpoints.database_url)
    sweep = require_sweep(engine, sweep_name)
    order = _Order(settings, endpoints, engine, sweep, find_chosen(engine, sweep, label))
    _refit_parts(order)
    queued = dispatch_refit(engine, endpoints.broker_url, order.chosen)
    try:
        _watch(order, order.chosen, queued)
        served = store.served_trial(engine, sweep.dataset_name)
        if served is not None and served.is_promoted and served.trial_id == queued.trial_id:
            console.print(f"{queued.label} is served already.")
            print_served(engine, sweep.dataset_name)
            return
        _verify(order, queued)
    except KeyboardInterrupt:
        console.print()
        _end_interrupted(order, queued)
    _serve(engine, sweep, queued.trial_id, note)


@dataclass(frozen=True)
class _Order:
    """Which trial of which sweep is to be served as a refit, and what is needed for that."""

    settings: Settings
    endpoints: Endpoints
    engine: Engine
    sweep: Sweep
    chosen: Trial

    @property
    def command(self) -> str:
        """What goes on with it, whatever has been done so far."""
        return f"make promote TRIAL={self.chosen.label} SWEEP={shlex.quote(self.sweep.name)}"

    @property
    def parts(self) -> tuple[ClaimedPart, ...]:
        """Of the chosen trial where that is a blend."""
        return store.parts_of(self.engine, self.chosen.trial_id)


def _refit_parts(order: _Order) -> None:
    """Return when the parts of a chosen blend, if it is one, are refitted, else end the command here.

    All are queued at once; what is refitted already is taken as it is.
    """
    parts = [store.get_trial(order.engine, part.trial_id) for part in order.parts]
    refits = [dispatch_refit(order.engine, order.endpoints.broker_url, part) for part in parts]
    if refits:
        console.print(f"{order.chosen.label} is of {len(refits)} trials, which learn from all ratings first.")
    for part, refit in zip(parts, refits, strict=True):
        try:
            _watch(order, part, refit)
        except KeyboardInterrupt:
            console.print()
            console.print(
                "The refits of its parts go on without you. To stop them: make cancel. What is served stays "
                f"as it is until the same command has gone on: {order.command}"
            )
            sys.exit(INTERRUPTED)


def _watch(order: _Order, chosen: Trial, refit: Trial) -> None:
    """Return when the refit of this trial has succeeded, else end the command here."""
    if refit.status == "succeeded":
        console.print(f"{refit.label} is trained already.")
        return
    _announce(order, chosen, refit)
    refit = watch_trial(order.engine, order.endpoints.broker_url, refit.trial_id, console)
    if refit.status != "succeeded":
        if refit.status == "failed":
            console.print(f"failed: {refit.label}: {refit.error_reason}: {refit.error_message}", style="red")
        else:
            console.print(f"{refit.label} was cancelled.")
        _end_unserved(order, f"To run it again: {order.command}   Its log: make logs TRIAL={refit.label}")


def _announce(order: _Order, chosen: Trial, refit: Trial) -> None:
    sweep = order.sweep
    data = describe_data(sweep.dataset_name, is_synthetic=sweep.is_synthetic)
    epochs = f", {refit.n_epochs} epochs as were best" if refit.n_epochs else ""
    seed = chosen.config.random_seed
    random = "" if seed is None else f", with its random seed {seed}"
    console.print(
        f"{refit.label}: {chosen.label} of sweep {sweep.sweep_id} {sweep.name} learns from all ratings "
        f"of {data}{epochs}{random}"
    )
    if order.endpoints.flower_url:
        console.print(f"Flower: {order.endpoints.flower_url}")


def _verify(order: _Order, refit: Trial) -> None:
    """Compute the refit's lists again from its saved model and check their contract, else end here.

    KeyboardInterrupt passes through.
    """
    console.print(f"Verifying the lists of {refit.label}:")
    sys.stdout.flush()
    # Its connections would stand idle meanwhile.
    order.engine.dispose()
    command, environment = verifying(
        order.settings, order.endpoints, order.sweep.sweep_id, trial_id=refit.trial_id
    )
    code = run_in_foreground(command, os.environ | environment)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code != 0:
        _end_unserved(order, f"{refit.label} is not served, because its lists could not be verified.")


def _serve(engine: Engine, sweep: Sweep, label_or_id: str | int, note: str) -> None:
    promotion = store.promote_trial(engine, label_or_id, sweep.sweep_id, note)
    console.print(f"Promotion {promotion.promotion_id} for data set {sweep.dataset_name}: {promotion.note}")
    print_served(engine, sweep.dataset_name)


def _end_interrupted(order: _Order, refit: Trial) -> NoReturn:
    if store.get_trial(order.engine, refit.trial_id).status == "succeeded":
        state = "The refit is trained, but not verified."
    else:
        state = "The refit goes on without you. To stop it: make cancel."
    console.print(
        f"{state} What is served stays as it is until the same command has verified it: {order.command}"
    )
    sys.exit(INTERRUPTED)


def _end_unserved(order: _Order, why: str) -> NoReturn:
    console.print(why)
    console.print("What is served stays as it was.")
    print_served(order.engine, order.sweep.dataset_name)
    sys.exit(1)
