"""The command that writes the page of a sweep into one file."""

import sys
from pathlib import Path

import click

from scheduler.commands.connection import SWEEP_OPTION, open_store, require_sweep
from scheduler.report_file import write_report
from scheduler.verdicts.writing import ensure_verdicts
from shared.console import console
from shared.datasets import canonical_id
from shared.errors import SpecError
from shared.store.page.report import plan_report


@click.command()
@SWEEP_OPTION
@click.option("--users", envvar="USERS", default=None, help="Ids of users to show, such as 1,2; default ten.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Its name, then its text; no file.")
def report(sweep_name: str | None, users: str | None, to_stdout: bool) -> None:
    """Write the page of the latest sweep into one HTML file, and print its path."""
    from scheduler.page.report import report_name, report_of  # noqa: PLC0415  Slow to load.

    user_ids = None if users is None else _parse_users(users)
    engine, _ = open_store()
    sweep = require_sweep(engine, sweep_name)
    ensure_verdicts(engine, sweep)
    plan = plan_report(engine, sweep.sweep_id, sweep.dataset_name, user_ids)
    name, text = report_name(sweep.name), report_of(engine, plan)
    if to_stdout:
        sys.stdout.write(f"{name}\n{text}")
        return
    write_report(Path(name), text)
    console.print(str(Path(name).absolute()))


def _parse_users(users: str) -> list[str]:
    ids = [canonical_id(one) for one in users.split(",") if one.strip()]
    if not ids:
        raise SpecError(f"USERS must be ids of users, separated by commas, such as 1,2; got {users!r}")
    return ids
