"""Commands about the services of this machine."""

from datetime import timedelta

import click

from scheduler.commands.connection import open_store
from scheduler.machine import (
    services_status,
    stop_services,
    tail_logs,
)
from shared import store
from shared.artifacts import read_artifact
from shared.console import console, describe_data, new_table
from shared.errors import ServiceError, SpecError
from shared.queue import find_workers
from shared.settings import load_settings


@click.command()
def status() -> None:
    """Show services, workers and the progress of the sweeps."""
    settings = load_settings()
    services = services_status(settings)
    table = new_table("Services", "service", "state", "address", "pid", "up for")
    for service in services:
        uptime = "" if service.uptime_seconds is None else str(timedelta(seconds=int(service.uptime_seconds)))
        table.add_row(service.name, service.state, service.address, str(service.pid or ""), uptime)
    console.print(table)
    try:
        engine, endpoints = open_store(settings)
    except ServiceError as error:
        console.print(str(error))
        return
    console.print(_workers_text(endpoints.broker_url))
    counts = (*store.TRIAL_STATUSES, "lost", "retried")
    sweeps = store.sweep_progress(engine)
    # Only where some have lost theirs.
    lists = ["with lists"] if any(row.n_with_lists < row.n_succeeded for row in sweeps) else []
    table = new_table("Sweeps", "sweep", "name", "data", *counts, *lists)
    for row in sweeps:
        table.add_row(
            str(row.sweep_id),
            row.name,
            describe_data(row.dataset_name, is_synthetic=row.is_synthetic),
            *(str(getattr(row, f"n_{state}")) for state in counts),
            *(str(row.n_with_lists) for _ in lists),
        )
    console.print(table)
    for refit in store.open_refits(engine):
        epoch = "" if refit.epoch is None else f", epoch {refit.epoch}"
        console.print(f"Refit {refit.label} of sweep {refit.sweep_id}: {refit.status}{epoch}")
    for trial in store.open_rehearsals(engine):
        name = store.get_sweep(engine, trial.sweep_id).dataset_name
        console.print(f"Refresh of {name}, {trial.label} of sweep {trial.sweep_id}: {trial.status}")


def _workers_text(broker_url: str) -> str:
    """The workers that answer now, wherever they run."""
    try:
        workers = find_workers(broker_url)
    except ServiceError as error:
        return f"Workers: {error}"
    if not workers:
        return "Workers: none answers"
    return "Workers alive: " + ", ".join(
        f"{name} ({worker.n_processes} task processes)" for name, worker in workers.items()
    )


@click.command()
def flower() -> None:
    """Print the URL of Flower."""
    _, endpoints = open_store()
    if endpoints.flower_url is None:
        raise ServiceError("Flower does not run on this machine: `make sweep` starts it")
    console.print(endpoints.flower_url)


@click.command()
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a trial of the latest sweep.")
def logs(label: str | None) -> None:
    """Show the last lines of every service's log, or the log of one trial."""
    if label is None:
        for name, text in tail_logs(load_settings()):
            console.rule(name, align="left")
            console.print_lines(text)
        return
    engine, _ = open_store()
    attempts = store.attempt_logs(engine, label)
    if not attempts:
        raise SpecError(f"TRIAL must be the label of a trial that has started; got {label!r}")
    for title, url in attempts:
        console.rule(title, align="left")
        try:
            console.print_lines(read_artifact(url).decode(errors="replace"))
        except FileNotFoundError:
            console.print(f"no log {url}: it was never written or is gone")


@click.command()
def down() -> None:
    """Stop all services of this machine; everything stored stays."""
    stop_services(load_settings())
    console.print("Stopped. The results stay; `make sweep` or `make status` picks them up again.")
