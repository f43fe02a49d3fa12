"""The command that recomputes results: the worker's code, on what the scheduler found."""

import os
import sys

import click

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.machine.programs import program_environment
from shared.settings import load_settings


@click.command()
@SWEEP_OPTION
def verify(sweep_name: str | None) -> None:
    """Recompute metrics and lists of the latest sweep from its saved models, and say what differs."""
    settings = load_settings()
    engine, endpoints = open_store(settings)
    sweep = require_sweep(engine, sweep_name)
    engine.dispose()
    environment = os.environ | program_environment(settings, settings.state_dir.resolve(), endpoints)
    command = [sys.executable, "-m", "worker.verify", str(sweep.sweep_id)]
    os.execve(command[0], command, environment)  # noqa: S606  It becomes it.
