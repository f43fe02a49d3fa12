"""`make data`: what a data set is like, and what a sweep over it would cost; nothing is stored or started."""

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from scheduler.commands.named_data import data_options, read_named_data
from scheduler.commands.search_options import search_options
from scheduler.sweep.expand import expand
from scheduler.sweep.repeat_plan import dearest_repeats
from scheduler.sweep.room import Lists, lists_of
from scheduler.sweep.search.words import describe_search, expected_trials
from scheduler.sweep.spec import find_sweep_file, read_spec
from scheduler.sweep.suitable import suited_to
from shared.console import console, describe_data, new_table
from shared.cores import count_cores
from shared.datasets import Dataset, SourceOptions
from shared.datasets.description import Description, describe, split_sizes
from shared.datasets.sources.left_out import OnError
from shared.domain.families import expected_memory_of
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.errors import SpecError
from shared.settings import load_settings

# What the expected costs of trials were measured on.
_N_RATINGS_MEASURED = 1_000_209
# To score a pair of a user and an item and keep the best; to store a row of the lists and a prediction:
# tests/benchmarks/bench_sizes.py and bench_store.py, at the size of MovieLens 32M.
_SECONDS_PER_PAIR, _SECONDS_PER_LIST_ROW = 6e-9, 15e-6
_BAR_WIDTH = 40


@click.command()
@data_options
@click.option("--sweep", "sweep_name", envvar="SWEEP", default="reference", help="Sweep file, for the cost.")
@click.option("--workers", envvar="WORKERS", type=click.IntRange(min=1), default=None, help="Task processes.")
@search_options
def data(  # noqa: PLR0917  Its options.
    asked: str | None,
    name: str | None,
    on_error: OnError | None,
    max_skipped: int | None,
    sweep_name: str,
    workers: int | None,
    **search: Any,  # noqa: ANN401  `search_options`.
) -> None:
    """Describe the ratings of a data set, and what a sweep over them would cost."""
    settings = load_settings()
    spec = read_spec(find_sweep_file(sweep_name), search)
    dataset = read_named_data(asked, SourceOptions(name or None, on_error, max_skipped), settings)
    description = describe(dataset)
    console.print(f"Data {describe_data(dataset.name, is_synthetic=dataset.is_synthetic)}")
    for line in _facts(description, "observations" if dataset.is_implicit else "ratings"):
        console.print(line)
    # Where every observation counts alike there is nothing to count.
    if not dataset.is_implicit or len(description.histogram) > 1:
        _print_histogram(description, "Weights" if dataset.is_implicit else "Ratings")
    _print_quantiles(description)
    _print_splits(dataset, spec.protocol)
    try:
        suited = suited_to(spec, dataset)
    except SpecError as error:
        console.print(f"No cost: {error}")
        return
    n_workers = workers or count_cores()
    configs = [*expand(suited), *expected_trials(suited)]
    # The best are repeated; the most expensive may be the best.
    configs += dearest_repeats(suited.repeats, configs)
    for line in describe_search(suited, dataset.n_ratings, n_workers):
        console.print(line)
    kept = None if spec.repeats else spec.lists_kept
    lists = lists_of(len(configs), dataset.n_users, spec.protocol.k, kept=kept, n_workers=n_workers)
    for line in _costs(dataset, spec.name, configs, lists, n_workers):
        console.print(line)


def _facts(description: Description, of: str) -> list[str]:
    one = description
    times = f"from {one.first:%Y-%m-%d} to {one.last:%Y-%m-%d}" if one.first and one.last else "without times"
    titles = "all with titles" if not one.n_untitled else f"{one.n_untitled:,} without a title"
    genres = "with genres" if one.has_genres else "without genres"
    users = "with" if one.has_user_traits else "without"
    return [
        f"{one.n_ratings:,} {of} {times}; {one.density:.2%} of all pairs have one",
        f"{one.n_users:,} users, {users} features of their own",
        f"{one.n_items:,} items, {titles}, {genres}; {one.n_items - one.n_rated_items:,} have none",
    ]


def _print_histogram(description: Description, title: str) -> None:
    table = new_table(title, title.lower().removesuffix("s"), "number", "share", "")
    largest = max(n for _, n in description.histogram)
    for value, n in description.histogram:
        bar = "#" * round(_BAR_WIDTH * n / largest)
        table.add_row(value, f"{n:,}", f"{n / description.n_ratings:.1%}", bar)
    console.print(table)


def _print_quantiles(description: Description) -> None:
    # As SHARES.
    shares = ("least", "10 %", "25 %", "median", "75 %", "90 %", "most")
    table = new_table("Ratings of a user, and of a rated item", "", *shares)
    for name, counts in (("user", description.activity), ("item", description.popularity)):
        table.add_row(name, *(f"{n:,}" for n in counts))
    console.print(table)


def _print_splits(dataset: Dataset, protocol: Protocol) -> None:
    fractions = f"{protocol.validation_fraction:g} and {protocol.test_fraction:g}"
    table = new_table(
        f"Splits, with {fractions} for validation and test",
        *("split", "training", "validation", "test", "cold users", "cold items"),
    )
    problems = []
    for one in split_sizes(dataset, protocol):
        if one.problem:
            problems.append(one.problem)
            continue
        counts = (one.n_train, one.n_validation, one.n_test, one.n_cold_users, one.n_cold_items)
        table.add_row(one.name, *(f"{n:,}" for n in counts))
    console.print(table)
    for problem in problems:
        console.print(problem)


def _costs(
    dataset: Dataset, name: str, configs: Sequence[TrialConfig], lists: Lists, n_workers: int
) -> list[str]:
    """Training grows with the ratings, ranking with users times items, EASE with items squared."""
    growth = dataset.n_ratings / _N_RATINGS_MEASURED
    training = sum(config.expected_cost for config in configs) * growth
    ranking = len(configs) * dataset.n_users * dataset.n_items * _SECONDS_PER_PAIR
    minutes = (training + ranking + lists.n_rows * _SECONDS_PER_LIST_ROW) / n_workers / 60
    lines = [
        f"A sweep {name} of {len(configs)} trials with {n_workers} task processes: about "
        f"{max(1, round(minutes)):,} min",
        f"Its lists: {lists}",
    ]
    n_items = int(np.count_nonzero(np.bincount(dataset.item_index)))
    needs = [
        expected_memory_of(config.architecture, dataset.n_users, n_items, dataset.n_ratings)
        for config in configs
    ]
    squared = [n_bytes for n_bytes in needs if n_bytes]
    if squared:
        lines.append(
            f"Memory: {max(squared) / 1e9:.2g} GB for each trial that keeps numbers for every pair of items, "
            f"which are {len(squared)} of them"
        )
    return lines
