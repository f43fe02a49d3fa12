"""The file of a report, which replaces nothing but a report; standard library alone, for the containers."""

from pathlib import Path

from shared.errors import SpecError
from shared.files import write_whole

# In the template of every report.
REPORT_MARK = '<meta name="generator" content="recsweep report">'
_MARKED_WITHIN_BYTES = 4096


def write_report(path: Path, text: str) -> None:
    """Write the file, or replace an older report; SpecError where there is something else, or no room."""
    try:
        if path.exists() and (not path.is_file() or not _is_report(path)):
            raise SpecError(
                f"{path} is there and is no report of recsweep: move it, or run in another folder"
            )
        write_whole(path, text, mode=0o644)
    except OSError as error:
        raise SpecError(
            f"a report must be written into the current folder; {path.absolute()}: {error.strerror}"
        ) from error


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return REPORT_MARK.encode() in file.read(_MARKED_WITHIN_BYTES)
