"""The data set that a command was asked for."""

from collections.abc import Callable
from typing import Any

import click

from shared.console import console, new_table
from shared.datasets import Dataset, SourceOptions, download_progress, resolve_dataset
from shared.datasets.sources.columns import SourceReport
from shared.plain_text import shortened
from shared.settings import Settings

_LONGEST_CELL = 40


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that reads a data set: which, and how."""
    for option in (
        click.option(
            "--max-skipped", envvar="MAX_SKIPPED", type=click.IntRange(min=0), default=None, help="Rows."
        ),
        click.option("--on-error", envvar="ON_ERROR", type=click.Choice(["refuse", "skip"]), default=None),
        click.option("--name", envvar="DATASET_NAME", default=None, help="Of the data set, else the file's."),
        click.option("--dataset", "asked", envvar="DATASET", default=None, help="A known set, or a file."),
    ):
        command = option(command)
    return command


def read_named_data(asked: str | None, options: SourceOptions, settings: Settings) -> Dataset:
    """Read or download it; say how a person's own file was understood, and what they should know."""
    with download_progress(console) as progress:
        resolved = resolve_dataset(asked, settings, progress, options, _print_report)
    for notice in resolved.notices:
        console.print(notice, style="yellow")
    return resolved.dataset


def _print_report(report: SourceReport) -> None:
    table = new_table(f"Columns of {report.where}", *(f"{role}: {name}" for role, name in report.roles))
    for row in report.examples:
        table.add_row(*(shortened(value, _LONGEST_CELL) for value in row))
    console.print(table)
    if all(role != "rating" for role, _ in report.roles):
        console.print(
            "No column holds ratings: each row says that the user chose the item, by a view, a purchase, …"
        )
