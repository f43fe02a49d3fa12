"""Commands about the services of this machine."""

import logging
import os
import signal
from datetime import timedelta

import click

from scheduler.commands.connection import open_store
from scheduler.machine import (
    clean_services,
    ensure_services,
    psql_command,
    services_status,
    stop_services,
    tail_logs,
)
from scheduler.monitoring import serve_metrics
from scheduler.watcher import Watcher
from shared import store
from shared.artifacts import read_artifact
from shared.console import console, describe_data, new_table, one_line_errors
from shared.errors import ServiceError, SpecError
from shared.queue import find_workers
from shared.settings import load_settings
from shared.stop_signal import StopSignal


@click.command()
@one_line_errors
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
        console.print(str(error), soft_wrap=True)
        return
    console.print(_workers_text(endpoints.broker_url), soft_wrap=True, markup=False)
    counts = (*store.TRIAL_STATUSES, "lost", "retried")
    table = new_table("Sweeps", "sweep", "name", "data", *counts)
    for row in store.sweep_progress(engine):
        table.add_row(
            str(row.sweep_id),
            row.name,
            describe_data(row.dataset_name, is_synthetic=row.is_synthetic),
            *(str(getattr(row, f"n_{state}")) for state in counts),
        )
    console.print(table)


def _workers_text(broker_url: str) -> str:
    """The workers that answer now, wherever they run."""
    try:
        workers = find_workers(broker_url)
    except ServiceError as error:
        return f"Workers: {error}"
    if not workers:
        return "Workers: none answers"
    return "Workers alive: " + ", ".join(f"{name} ({n} task processes)" for name, n in workers.items())


@click.command()
@click.option("--command", "-c", "statement", envvar="C", default=None, help="One SQL statement.")
@one_line_errors
def psql(statement: str | None) -> None:
    """Open psql on the results, or run one statement."""
    command, environment = psql_command(load_settings())
    if statement:
        command += ["-v", "ON_ERROR_STOP=1", "-c", statement]
    os.execve(command[0], command, environment)  # noqa: S606  psql replaces this process, as a person expects.


@click.command()
@one_line_errors
def flower() -> None:
    """Print the URL of Flower."""
    _, endpoints = open_store()
    if endpoints.flower_url is None:
        raise ServiceError("Flower does not run on this machine: `make sweep` starts it")
    console.print(endpoints.flower_url, soft_wrap=True)


@click.command()
@click.option("--trial", "label", envvar="TRIAL", default=None, help="Label of a trial of the latest sweep.")
@one_line_errors
def logs(label: str | None) -> None:
    """Show the last lines of every service's log, or the log of one trial."""
    if label is None:
        for name, text in tail_logs(load_settings()):
            console.rule(name, align="left")
            click.echo(text)
        return
    engine, _ = open_store()
    attempts = store.attempt_logs(engine, label)
    if not attempts:
        raise SpecError(f"TRIAL must be the label of a trial that has started; got {label!r}")
    for title, url in attempts:
        console.rule(title, align="left")
        try:
            click.echo(read_artifact(url).decode())
        except FileNotFoundError:
            click.echo(f"no log {url}: it was never written or is gone")


@click.command()
@click.option("--upgrade-schema", is_flag=True, help="First bring the tables to the version of this code.")
@one_line_errors
def watch(upgrade_schema: bool) -> None:
    """Bring back lost trials until stopped (a service; `make sweep` starts it)."""
    settings = load_settings()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if upgrade_schema:
        ensure_services(settings, n_workers=0)
    engine, endpoints = open_store(settings)
    stopped = StopSignal()
    stopped.listen(signal.SIGTERM, signal.SIGINT)
    if settings.metrics_port is not None:
        serve_metrics(engine, endpoints.broker_url, settings.metrics_address, settings.metrics_port)
    Watcher(engine, endpoints.broker_url, stopped).run()


@click.command()
@one_line_errors
def down() -> None:
    """Stop all services of this machine; everything stored stays."""
    stop_services(load_settings())
    console.print("Stopped. The results stay; `make sweep` or `make status` picks them up again.")


@click.command()
@click.option("--yes", envvar="YES", is_flag=True, help="Do not ask.")
@one_line_errors
def clean(yes: bool) -> None:
    """Stop all services and delete the results, models and caches of this machine."""
    settings = load_settings()
    if not yes:
        click.confirm(f"Delete all results, models and caches in {settings.state_dir}?", abort=True)
    clean_services(settings)
    console.print(f"Deleted {settings.state_dir}")
