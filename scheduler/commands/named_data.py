"""The data set that a command was asked for, without those who were forgotten."""

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy import Engine

from shared import store
from shared.console import console, new_table
from shared.datasets import (
    Dataset,
    ResolvedDataset,
    SourceOptions,
    download_progress,
    resolve_dataset,
    without_users,
)
from shared.datasets.sources.columns import SourceReport
from shared.plain_text import shortened
from shared.settings import Settings

_LONGEST_CELL = 40


def error_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is done with rows of a person's own ratings that break a rule."""
    for option in (
        click.option("--max-skipped", envvar="MAX_SKIPPED", type=click.IntRange(min=0), default=None),
        click.option("--on-error", envvar="ON_ERROR", type=click.Choice(["refuse", "skip"]), default=None),
    ):
        command = option(command)
    return command


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that reads a data set: which, and how."""
    command = error_options(command)
    for option in (
        click.option("--name", envvar="DATASET_NAME", default=None, help="Of the data set, else the file's."),
        click.option("--dataset", "asked", envvar="DATASET", default=None, help="A known set, or a file."),
    ):
        command = option(command)
    return command


def read_named_data(asked: str | None, options: SourceOptions, settings: Settings) -> Dataset:
    """Read or download it; say how a person's own file was understood, and what they should know."""
    return resolve_named_data(asked, options, settings).dataset


def resolve_named_data(asked: str | None, options: SourceOptions, settings: Settings) -> ResolvedDataset:
    """The same, with the source that gives it again."""
    with download_progress(console) as progress:
        resolved = resolve_dataset(asked, settings, progress, options, _print_report)
    for notice in resolved.notices:
        console.print(notice, style="yellow")
    return resolved


def leave_out_forgotten(engine: Engine, dataset: Dataset) -> Dataset:
    """Without the users whom `make forget` removed and whom the source still has; says how many these are."""
    forgotten = store.forgotten_users(engine, dataset.name)
    if not forgotten.hashes:
        return dataset
    users = [user_id for user_id in dataset.user_ids.tolist() if forgotten.hold(user_id)]
    if not users:
        return dataset
    console.print(
        f"Left out of {dataset.name}: {len(users):,} who were forgotten and whom its source still has; "
        "remove them there too",
        style="yellow",
    )
    return without_users(dataset, users)


def _print_report(report: SourceReport) -> None:
    table = new_table(f"Columns of {report.where}", *(f"{role}: {name}" for role, name in report.roles))
    for row in report.examples:
        table.add_row(*(shortened(value, _LONGEST_CELL) for value in row))
    console.print(table)
    if all(role != "rating" for role, _ in report.roles):
        console.print(
            "No column holds ratings: each row says that the user chose the item, by a view, a purchase, …"
        )
