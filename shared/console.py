"""What every command prints with: the console, its tables, and the one line for a person's mistake."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from shared.errors import RecsweepError

P = ParamSpec("P")

# A pipe or a file has no width: wide enough for every table.
_NO_TERMINAL_WIDTH = 160

console = Console(highlight=False, width=None if sys.stdout.isatty() else _NO_TERMINAL_WIDTH)


def new_table(title: str, *columns: str) -> Table:
    """A table in the one style of all commands."""
    return Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an expected error into one line on stderr and exit code 2."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RecsweepError as error:
            click.echo(f"recsweep: {' '.join(str(error).split())}", err=True)
            sys.exit(2)

    return run


def describe_data(name: str, *, is_synthetic: bool) -> str:
    """The data set's name, and a warning where it is not real."""
    return f"{name} (synthetic data, not real ratings)" if is_synthetic else name
