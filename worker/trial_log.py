"""The log of one attempt, kept beside its model."""

from datetime import UTC, datetime

from shared.artifacts import write_artifact


class TrialLog:
    """Collects lines; `save` writes the whole log, so that a killed attempt leaves what it had saved."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lines: list[str] = []

    def write(self, text: str) -> None:
        """Add a text of one or more lines; the first gets the time, in UTC."""
        self._lines.append(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}")

    def save(self) -> None:
        """Write everything so far; raises TrialError when the artifact store cannot."""
        write_artifact(self.url, ("\n".join(self._lines) + "\n").encode())
