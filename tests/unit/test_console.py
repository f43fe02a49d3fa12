"""What is printed is shown as it is, whatever it holds, on any screen."""

import ast
import io
from pathlib import Path

import pytest
from rich.progress import Progress

from shared.console import PlainColumn, PlainConsole, fit_columns, new_list, new_table, print_error, styled

ROOT = Path(__file__).parents[2]
HOSTILE = "[/cut] [red]x[/red] :smile: \x1b[31m\x07\r\n[bold]"
SHOWN = r"[/cut] [red]x[/red] :smile: \x1b[31m\x07  [bold]"


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


def _console(screen, **options) -> PlainConsole:
    return PlainConsole(file=screen, **{"width": 160, **options})


def test_a_printed_string_is_one_line_as_it_is(screen):
    _console(screen).print(f"Sweep {HOSTILE}", style="red")
    assert screen.getvalue() == f"Sweep {SHOWN}\n"


def test_a_long_string_is_not_cut_or_broken(screen):
    _console(screen, width=20).print("word " * 1000)
    assert screen.getvalue() == "word " * 1000 + "\n"


@pytest.mark.parametrize("new", [new_list, new_table])
def test_tables_show_titles_columns_and_cells_as_they_are(screen, new):
    table = new(HOSTILE, HOSTILE, "second") if new is new_table else new(HOSTILE, "second")
    table.add_row(HOSTILE, styled(HOSTILE, "green"))
    table.caption = HOSTILE
    _console(screen).print(table)
    n_strings = 1 if new is new_list else 2  # The column; a table has a title too.
    n_strings += 3  # Two cells and the caption.
    assert screen.getvalue().count(SHOWN) == n_strings


def test_a_rule_and_a_bar_show_their_text_as_it_is(screen):
    console = _console(screen)
    console.rule(HOSTILE, align="left")
    with Progress(PlainColumn("{task.description} {task.fields[left]}"), console=console) as progress:
        progress.add_task(HOSTILE, left=HOSTILE)
    assert screen.getvalue().count(SHOWN) == 3


def test_several_lines_stay_several(screen):
    _console(screen).print_lines("one [/1]\ntwo \x1b[2J\n")
    assert screen.getvalue() == "one [/1]\ntwo \\x1b[2J\n"


def test_a_column_keeps_its_width_beside_control_characters(screen):
    table = new_list("name", "n")
    table.add_row("\x1b[31m", "1")
    table.add_row("12345678", "2")
    _console(screen).print(table)
    assert screen.getvalue().splitlines() == ["name      n", r"\x1b[31m  1", "12345678  2"]


def _wide_table():
    table = new_table("Trials", "trial", "RMSE", "weights", "seconds")
    table.add_row("concatenate_100_64_32_1", "0.9104", "1,014,177", "28.9")
    return table


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(60, []), (52, ["weights"]), (42, ["weights", "seconds"]), (10, ["weights", "seconds"])],
)
def test_a_narrow_terminal_shows_fewer_columns(width, left_out):
    table = _wide_table()
    assert fit_columns(table, ["weights", "no such column", "seconds"], width) == left_out
    assert [str(column.header) for column in table.columns] == [
        name for name in ("trial", "RMSE", "weights", "seconds") if name not in left_out
    ]


def test_what_is_left_of_a_table_is_shown_in_full(screen):
    table = _wide_table()
    fit_columns(table, ["weights", "seconds"], 42)
    PlainConsole(file=screen, width=42).print(table)
    assert screen.getvalue().split() == [
        "Trials",
        "trial",
        "RMSE",
        "─" * 32,
        "concatenate_100_64_32_1",
        "0.9104",
    ]


# Without the two columns: 23 + 6 + 7 characters, twice 3 between them, and 2 edges.
@pytest.mark.parametrize("width", range(23 + 6 + 7 + 2 * 3 + 2, 80))
def test_no_word_is_cut_where_a_column_before_others_was_left_out(screen, width):
    table = new_table("", "trial")
    for name in ("RMSE", "weights", "seconds", "verdict"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("concatenate_100_64_32_1", "0.9104", "1,048,576", "12.3", "worse")
    fit_columns(table, ["weights", "seconds"], width)
    PlainConsole(file=screen, width=width).print(table)
    assert "…" not in screen.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_screen_of_any_encoding_gets_what_it_has(encoding):
    content = io.BytesIO()
    file = io.TextIOWrapper(content, encoding=encoding)
    console = PlainConsole(file=file, width=100)
    table = new_table("Amélie 映画", "title")
    table.add_row("Amélie 映画")
    console.print(table)
    console.print("Amélie 映画 \udcff")
    file.flush()
    lines = content.getvalue().decode(encoding).splitlines()
    shown = "Amélie 映画".encode(encoding, "backslashreplace").decode(encoding)
    assert lines[-1] == f"{shown} \\udcff"
    assert sum(shown in line for line in lines) == 3


def test_an_error_is_one_line(capsys):
    print_error(HOSTILE)
    assert capsys.readouterr().err == r"recsweep: [/cut] [red]x[/red] :smile: \x1b[31m\x07 [bold]" + "\n"


# What would look for markup in a text, or go past the console; a type in an annotation does neither.
_IMPORTED = {"Table", "Text", "TextColumn", "print", "print_json", "render", "Panel", "RichHandler"}
_CALLED = {"Console", "print", "click.echo", "click.secho", "click.confirm", "click.prompt"}


def _by_hand(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich":
            names = [alias.name for alias in node.names if alias.name in _IMPORTED]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "rich"]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _CALLED:
            names = [ast.unparse(node.func)]
        found += [f"{path.relative_to(ROOT)}: {name}" for name in names]
    return found


def test_nobody_prints_past_the_one_console():
    paths = [path for folder in ("shared", "scheduler", "worker") for path in (ROOT / folder).rglob("*.py")]
    found = [one for path in paths for one in _by_hand(path) if path != ROOT / "shared" / "console.py"]
    assert len(paths) > 50
    assert found == []
    assert {"Table", "click.echo"} <= {one.split(": ")[1] for one in _by_hand(ROOT / "shared" / "console.py")}
