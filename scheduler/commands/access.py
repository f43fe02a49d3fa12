"""Commands that let a person, or a program, into the database."""

import os
import sys

import click

from scheduler.commands.connection import open_store
from scheduler.machine import psql_command
from scheduler.machine.secret import new_password
from shared import store
from shared.console import console
from shared.ending import run_in_foreground
from shared.settings import load_settings
from shared.store.access import ANALYST


@click.command()
@click.option("--command", "-c", "statement", envvar="C", default=None, help="One SQL statement.")
def psql(statement: str | None) -> None:
    """Open psql on the results, or run one statement."""
    command, environment = psql_command(load_settings())
    if statement:
        command += ["-v", "ON_ERROR_STOP=1", "-c", statement]
    sys.exit(run_in_foreground(command, environment))


@click.command()
def analyst() -> None:
    """Create, or give a new password to, the role that may only read the results."""
    engine, _ = open_store()
    password = os.environ.get("ANALYST_PASSWORD") or new_password()
    store.grant_analyst(engine, password)
    url = engine.url.set(drivername="postgresql", username=ANALYST, password=password)
    console.print(url.render_as_string(hide_password=False))
