"""A TOML file that a person wrote, read with one clear line for what is wrong with it."""

import tomllib
from pathlib import Path
from typing import Any

from shared.errors import RecsweepError


def read_toml(path: Path, what: str, error_class: type[RecsweepError]) -> dict[str, Any]:
    """The tables of the file; raises `error_class` with the path when it is not there or not valid TOML.

    `what` it is: "sweep file".
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise error_class(f"{path}: no such {what}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise error_class(f"{path}: cannot be read: {error}") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise error_class(f"{path}: not valid TOML: it is nested too deeply") from error
    except ValueError as error:
        raise error_class(f"{path}: not valid TOML: {error}") from error
