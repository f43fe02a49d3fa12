"""The command that recomputes results, and how a command of the worker is run on what the scheduler found."""

import os
import sys

import click

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.machine import Endpoints
from scheduler.machine.programs import program_environment
from shared.settings import Settings, load_settings


@click.command()
@SWEEP_OPTION
def verify(sweep_name: str | None) -> None:
    """Recompute metrics and lists of the latest sweep from its saved models, and say what differs."""
    settings = load_settings()
    engine, endpoints = open_store(settings)
    sweep = require_sweep(engine, sweep_name)
    engine.dispose()
    command, environment = verifying(settings, endpoints, sweep.sweep_id)
    os.execve(command[0], command, os.environ | environment)  # noqa: S606  It becomes it.


def verifying(
    settings: Settings, endpoints: Endpoints, sweep_id: int, trial_id: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """The worker's command that verifies a sweep, or one trial of it, and the variables that it needs."""
    arguments = [str(sweep_id), *(["--trial", str(trial_id)] if trial_id is not None else [])]
    return [sys.executable, "-m", "worker.verify", *arguments], worker_environment(settings, endpoints)


def worker_environment(settings: Settings, endpoints: Endpoints) -> dict[str, str]:
    """What a command of the worker needs to find everything that this command has found."""
    return program_environment(settings, settings.state_dir.resolve(), endpoints)
