"""What every command prints with: one console, its tables, its lines.

Nothing that is printed is markup. Text from a file, a path or the database is shown as it is, so nobody has
to remember to escape it; a style is given as a style (`style="red"`, or `styled` for a part of a table).
"""

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Task, TextColumn
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from shared.ending import discard_output
from shared.plain_text import one_line

# A pipe or a file has no width: wide enough for every table.
_NO_TERMINAL_WIDTH = 160
_ANY_WIDTH = 10_000
# Shades that stand out from white and from black alike, in place of the terminal's own of these names.
THEME = Theme(
    {
        "red": "color(160)",
        "green": "color(28)",
        "yellow": "color(130)",
        "cyan": "color(30)",
        "bar.complete": "color(28)",
        "bar.finished": "color(28)",
        "bar.back": "color(246)",
    }
)


class PlainConsole(Console):
    """A console that takes no text for a command, neither to itself nor to the terminal.

    A printed string is one line, which the terminal may wrap. What the terminal's encoding lacks is shown
    as an escape. A reader that has gone (`make query | head`) ends the process with success.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  Those of rich's console.
        super().__init__(markup=False, emoji=False, highlight=False, theme=THEME, **options)

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401  As rich's own.
        """Print a line, or something that rich can draw."""
        if all(isinstance(one, str) for one in objects):
            options.setdefault("soft_wrap", True)
        super().print(*objects, **options)

    def print_lines(self, text: str) -> None:
        """Print a text of several lines, such as the end of a log."""
        for line in text.splitlines():
            self.print(line)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401  As rich's own.
        """Every string comes by here, from a line, a cell, a title; rich would look for markup in it."""
        style, justify, overflow = (options.get(name) for name in ("style", "justify", "overflow"))
        shown = one_line(text).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return Text(shown, style=style or "", justify=justify, overflow=overflow)

    def on_broken_pipe(self) -> NoReturn:
        """Whoever read has seen enough."""
        self.quiet = True
        discard_output()
        raise SystemExit(0)


class PlainColumn(TextColumn):
    """A column of a progress display: `{task.description}`, filled with the text as it is."""

    def __init__(self, text_format: str) -> None:
        super().__init__(text_format, markup=False)

    def render(self, task: Task) -> Text:
        """Its text for one task."""
        return styled(self.text_format.format(task=task), self.style)


console = PlainConsole(width=None if sys.stdout and sys.stdout.isatty() else _NO_TERMINAL_WIDTH)


def new_table(title: str, *columns: str) -> Table:
    """A table in the one style of all commands, for `console.print`."""
    return Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)


def new_list(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """A table without lines and title, for what changes on the screen; `numbers`: columns that end alike.

    Where it is too wide, the first column takes more lines; of the others nothing is left out.
    """
    first, *others = columns
    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=True)
    return table


def print_exactly(text: str) -> None:
    """Print what a program reads, as it is."""
    sys.stdout.write(text.encode(console.encoding, "backslashreplace").decode(console.encoding))


def fit_columns(table: Table, least_important: Sequence[str], width: int) -> list[str]:
    """Take out columns, the least important first, until the table fits; gives the headers of those.

    A terminal that is too narrow would shorten names until nothing of them is left.
    """
    left_out = []
    for header in least_important:
        if Measurement.get(console, console.options.update(max_width=_ANY_WIDTH), table).maximum <= width:
            break
        kept = [column for column in table.columns if column.header != header]
        if len(kept) < len(table.columns):
            table.columns[:] = kept
            # A column knows its place: the last one is measured without the space to its right.
            for place, column in enumerate(kept):
                column._index = place
            left_out.append(header)
    return left_out


def styled(text: str, style: str | Style) -> Text:
    """A text with a style of its own, for a cell of a table."""
    return Text(one_line(text), style=style)


def confirm(question: str) -> None:
    """Go on after a yes; anything else ends the command."""
    click.confirm(one_line(question), abort=True)


def print_error(message: str, example: str = "") -> None:
    """The one line that a person gets for a mistake, on stderr, and lines to copy where there are some."""
    click.echo(f"recsweep: {' '.join(one_line(message).split())}", err=True)
    for line in example.splitlines():
        click.echo(f"  {one_line(line)}", err=True)


def describe_data(name: str, *, is_synthetic: bool) -> str:
    """The data set's name, and a warning where it is not real."""
    return f"{name} (synthetic data, not real ratings)" if is_synthetic else name
