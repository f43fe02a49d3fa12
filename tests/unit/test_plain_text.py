"""Text that can do nothing to a terminal."""

import pytest

from shared.plain_text import is_one_line, one_line, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Se7en [a.k.a. Seven]", "Se7en [a.k.a. Seven]"),
        ("Amélie 映画 👩‍👩‍👧", "Amélie 映画 👩‍👩‍👧"),
        ("two\nlines\tand\rmore\u2028end", "two lines and more end"),
        ("\x1b[31mred\x1b[0m \x07", "\\x1b[31mred\\x1b[0m \\x07"),
        ("a\0b\x9b2J", "a\\x00b\\x9b2J"),
        ("right \u202eto left", "right \\u202eto left"),
        # A byte of a file name that is not UTF-8, as os.fsdecode gives it.
        ("/data/\udcff", "/data/\\udcff"),
    ],
)
def test_a_line_shows_what_it_cannot_print(text, shown):
    assert one_line(text) == shown
    assert is_one_line(text) == (text == shown)
    assert is_one_line(one_line(text))


def test_every_control_character_is_changed():
    commands = [chr(code) for code in (*range(32), *range(127, 160))]
    assert not any(is_one_line(command) for command in commands)
    assert all(one_line(command).isprintable() for command in commands)


def test_a_long_text_is_cut_to_its_length():
    assert shortened("x" * 80) == "x" * 80
    assert shortened("x" * 81) == "x" * 79 + "…"
    assert shortened("abcdef", 4) == "abc…"
