"""How a part of `make bench` is called, and the Markdown it prints."""

import argparse
import textwrap
from collections.abc import Iterable, Sequence

from shared.domain.families.tower import Tower

MISSED = "**missed**"


def parse_options(description: str | None) -> argparse.Namespace:
    """`--quick`: fewer and shorter measurements."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="to try the script: its figures mean little")
    return parser.parse_args()


def print_heading(title: str, part: str) -> None:
    """The title of a part and the command that makes it alone."""
    print(f"\n## {title}\n\n`.venv/bin/python -m tests.benchmarks.{part}`", flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Rows are printed as they are measured. The first column is text, the others are numbers."""
    print(f"\n### {title}\n" if title else "", flush=True)
    print(f"| {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * (len(columns) - 1)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def print_note(text: str) -> None:
    """A paragraph below a title."""
    print("\n" + textwrap.fill(text, width=110), flush=True)


def judge(*, is_met: bool) -> str:
    """A bar as the table shows it."""
    return "met" if is_met else MISSED


def seconds(value: float) -> str:
    """Three digits, or more for whole seconds."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def megabytes(n_bytes: float) -> str:
    """In units of a million bytes."""
    return f"{n_bytes / 1e6:,.0f}"


def describe(architecture: Tower) -> str:
    """`concatenate 50, 64-32-1 relu`."""
    dense = "-".join(map(str, architecture.dense_layers))
    activation = "" if architecture.is_linear else f" {architecture.activation}"
    return f"{architecture.merge} {architecture.embedding_size}, {dense}{activation}"
