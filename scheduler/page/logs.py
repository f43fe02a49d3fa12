"""The end of a trial's log, where it lies on this machine."""

from shared.artifacts import local_path

_TAIL_BYTES = 4000
_MOST_LINES = 40


def log_tail(url: str | None) -> str | None:
    """Its last lines; None where there is none here: it was never written, is gone, or lies elsewhere."""
    path = local_path(url) if url else None
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    # The first line may be cut.
    whole = lines[1:] if size > _TAIL_BYTES else lines
    return "\n".join(whole[-_MOST_LINES:])
