"""Text from files, databases and paths as text that can do nothing to a terminal; standard library only."""

import re

# White space that moves the cursor, and the line ends of Unicode.
_BREAKS = re.compile(r"[\t-\r\x85\u2028\u2029]")
# What a terminal obeys instead of showing it (a colour, a cursor, a bell, the direction of writing), and half
# characters, which stand for bytes of a file name that are not UTF-8.
_COMMANDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_VALUE = 80


def one_line(text: str) -> str:
    r"""The text on one line: a line end or tab is a space, a control character its escape, such as `\x1b`."""
    return _COMMANDS.sub(_escape, _BREAKS.sub(" ", text))


def is_one_line(text: str) -> bool:
    """Whether `one_line` would change nothing."""
    return not _COMMANDS.search(text) and not _BREAKS.search(text)


def shortened(text: str, length: int = _LONGEST_VALUE) -> str:
    """The text, or its beginning and an ellipsis where it has more than `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
