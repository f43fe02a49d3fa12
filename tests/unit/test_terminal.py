"""What a screen of any width and either background shows of a leaderboard, and what a program reads of it."""

import csv
import io
import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest
from rich.color import Color
from rich.theme import Theme

from scheduler.commands.formats import as_text, format_leaderboard, require_format
from scheduler.commands.leaderboard_table import leaderboard_table
from scheduler.verdicts.headline import headline
from shared.console import THEME, PlainConsole
from shared.domain.protocol import Protocol
from shared.errors import SpecError
from shared.store import LeaderboardRow, Sweep
from tests.unit.test_verdict_words import NOTHING, row, verdict

LONG = "matrix_factorization_" + "_".join(f"setting{number}" for number in range(12)) + "_end"
SWEEP = Sweep(
    1, "lists", 1, "ml-1m", "f", False, Protocol(objective="ndcg@20", test_fraction=0.1), "1",
    created_at=datetime(2026, 1, 1, tzinfo=UTC), spec={},
)  # fmt: skip


def full(trial_id, label, *, mean=0.3111, spread=0.0022, n_seeds=3, **facts):
    numbers = {
        "rank": trial_id, "k": 20, "ndcg": 0.3123, "rmse": 0.8765, "recall": 0.1111, "coverage": 0.2222,
        "test_value": 0.2987, "validation_value": 0.3123, "best_epoch": 12, "mean_value": mean,
        "spread": spread, "n_seeds": n_seeds, "status": "succeeded", "n_parameters": 1_234_567,
    }  # fmt: skip
    return replace(row(trial_id, label), **{**numbers, **facts})


ROWS = [full(1, LONG), full(2, "ease_500", mean=0.2999, spread=None, n_seeds=1, rmse=None)]
VERDICTS = [verdict(1, "winner", n_seeds=3), verdict(2, "worse", -0.0123)]


def shown(width, rows=ROWS):
    """What a screen shows, without its colours, and the columns that it has no room for."""
    screen = io.StringIO()
    console = PlainConsole(file=screen, width=width, force_terminal=True, _environ={})
    table, left_out = leaderboard_table(SWEEP, rows, VERDICTS, {}, console)
    console.print(table)
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()), left_out


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_no_line_is_wider_than_the_screen_and_no_number_is_cut(width):
    text, left_out = shown(width)
    assert max(map(len, text.splitlines())) <= width
    for value in ("0.3111", "0.0022", "0.2999", "0.3123"):
        assert value in text, left_out
    assert "…" not in text


def test_what_is_left_out_is_named_and_the_objective_never_is():
    assert shown(60)[1][:3] == ["weights", "epoch", "coverage"]
    assert "ndcg@20" not in shown(40)[1]
    assert shown(260) == (shown(260)[0], [])


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_label_is_folded_and_whole(width):
    text, _ = shown(width, rows=[ROWS[0]])
    # Its parts stand below each other in the second column.
    assert "".join(line[5:][: width * 2 // 5].strip() for line in text.splitlines()[4:]) == LONG


@pytest.mark.parametrize("width", [80, 120])
def test_numbers_of_a_column_end_at_one_place(width):
    text, _ = shown(width, rows=[full(1, "a"), full(2, "b", mean=12.3456)])
    lines = [line for line in text.splitlines() if "0.3111" in line or "12.3456" in line]
    ends = {line.index(value) + len(value) for line, value in zip(lines, ("0.3111", "12.3456"), strict=True)}
    assert len(ends) == 1


def test_without_repeats_there_are_no_columns_for_them():
    text, _ = shown(160, rows=[full(1, "a", spread=None, n_seeds=1)])
    assert "seeds" not in text
    assert "sd" not in text


def luminance(color: Color) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(part) for part in color.get_truecolor())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", ["red", "green", "yellow", "cyan"])
def test_colours_stand_out_from_white_and_from_black(name):
    color = THEME.styles[name].color
    assert color is not None
    light, dark = 1.05 / (luminance(color) + 0.05), (luminance(color) + 0.05) / 0.05
    assert min(light, dark) >= 3.8


def test_a_style_of_a_message_is_that_shade():
    assert isinstance(THEME, Theme)
    screen = io.StringIO()
    PlainConsole(file=screen, force_terminal=True, color_system="256", _environ={}).print("x", style="yellow")
    assert "38;5;130m" in screen.getvalue()


def test_no_color_is_honoured():
    screen = io.StringIO()
    options = {"force_terminal": True, "color_system": "256", "_environ": {"NO_COLOR": "1"}}
    PlainConsole(file=screen, **options).print("x", style="red")
    assert "38;5" not in screen.getvalue()
    assert "x" in screen.getvalue()


def test_the_headline_says_what_to_ship_how_sure_and_what_it_costs():
    assert headline(ROWS, VERDICTS) == (
        f"Ship {LONG} (ndcg@20 0.3111 on validation, mean of 3 random seeds): proven better than every other "
        "trial that is judged, with 95 %; it costs 1.0 s to train and 1,234,567 weights"
    )


def test_of_ties_the_headline_names_the_one_that_takes_least():
    rows = [replace(full(1, "a", n_seeds=1), train_seconds=7200.0), replace(full(2, "b"), train_seconds=90.0)]
    sentence = headline(rows, [verdict(1, "tie"), verdict(2, "tie", -0.001)])
    assert "not proven better than 1 other, of which b takes 2 min to train" in sentence
    assert sentence.endswith("it costs 2.0 h to train and 1,234,567 weights")


def test_seeds_of_one_configuration_are_one_tie():
    rows = [full(number, f"t{number}") for number in (1, 2, 3, 4)]
    ties = [verdict(number, "tie", -0.001, n_seeds=2) for number in (2, 3)]
    assert "than 1 other;" in headline(rows, [verdict(1, "tie", n_seeds=2), *ties])


def test_what_proved_better_on_test_is_to_be_shipped():
    sentence = headline(ROWS, [verdict(1, "worse"), verdict(2, "winner", 0.02)])
    assert sentence.startswith("Ship ease_500 (ndcg@20 0.3123 on validation): on test it proved better than")


def test_without_verdicts_nothing_is_recommended():
    assert headline(ROWS, []) is None
    alone = verdict(1, None, reason="there is no other trial to compare it with")
    assert "not sure: there is no other trial" in headline(ROWS[:1], [alone])


def test_csv_follows_rfc_4180_with_every_column_and_every_digit():
    value = 0.1 + 0.2
    rows = [full(1, 'a"b,c', mean=value), full(2, "x")]
    text = format_leaderboard("csv", rows, VERDICTS, {"novelty@20": {1: 3.5}})
    assert text.count("\r\n") == 3
    header, first, second = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header[: len(fields(LeaderboardRow))] == [field.name for field in fields(LeaderboardRow)]
    assert header[-1] == "novelty@20"
    found = dict(zip(header, first, strict=True))
    assert (found["label"], float(found["mean_value"])) == ('a"b,c', value)
    assert (found["verdict"], found["verdict_difference"], found["novelty@20"]) == ("winner", "", "3.5")
    assert found["is_baseline"] == "false"
    assert dict(zip(header, second, strict=True))["novelty@20"] == ""


def test_a_text_in_csv_is_quoted_and_a_number_is_not():
    assert as_text("csv", ["a", "b", "c", "d"], [["=1+1", 1.5, None, ""]]).splitlines()[1] == '"=1+1",1.5,,""'


def test_json_has_null_where_nothing_is_known_and_no_number_that_is_none():
    rows = [full(1, "a", mean=float("nan"), spread=None)]
    (record,) = json.loads(format_leaderboard("json", rows, [], {}))
    assert (record["mean_value"], record["spread"], record["verdict"]) == (None, None, None)
    assert record["ndcg"] == 0.3123
    assert json.loads(format_leaderboard("json", [], [], {})) == []


def test_markdown_escapes_what_ends_a_cell():
    text = as_text("md", ["label", "value"], [["a|b\nc", 0.5], ["d", None]])
    assert text.splitlines() == ["| label | value |", "| --- | --- |", "| a\\|b c | 0.5 |", "| d |  |"]


def test_an_unknown_format_is_named():
    with pytest.raises(SpecError, match="FORMAT must be one of csv, json, md; got 'xml'"):
        require_format("xml")
    assert require_format("csv") == "csv"


def test_a_row_without_anything_has_every_column():
    (line,) = list(
        csv.DictReader(io.StringIO(format_leaderboard("csv", [LeaderboardRow(**NOTHING)], [], {})))
    )
    assert set(line.values()) == {""}
