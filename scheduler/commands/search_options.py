"""The options of the commands that take a search: what they set stands under [search] of the sweep file."""

from collections.abc import Callable
from typing import Any, get_args

import click

from scheduler.sweep.sections import SearchMethod

_OPTIONS = (
    click.option(
        *("--search", "method"),
        envvar="SEARCH",
        type=click.Choice(get_args(SearchMethod)),
        help="How trials are chosen.",
    ),
    click.option(
        *("--n-trials", "n_trials"),
        envvar="SEARCH_TRIALS",
        type=click.IntRange(min=1),
        help="Trials of the search (N=40).",
    ),
    click.option(
        *("--budget-minutes", "budget_minutes"),
        envvar="SEARCH_MINUTES",
        type=click.FloatRange(min=0, min_open=True),
        help="Minutes of the search (BUDGET=10).",
    ),
    click.option(
        *("--search-seed", "seed"),
        envvar="SEARCH_SEED",
        type=click.IntRange(min=0),
        help="Seed of the search (SEED=1).",
    ),
)


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them; the command gets the keys of [search], None where nothing was said."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
