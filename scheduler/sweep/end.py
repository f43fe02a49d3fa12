"""How a sweep ended, judged by what its file asks for now."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.trial import TrialConfig
from shared.store import Trial


@dataclass(frozen=True)
class SweepEnd:
    """The trials of a sweep that its file asks for, and those that only an earlier version of it did.

    `impossible`: why blends that it asks for are not there, in words.
    """

    asked: tuple[Trial, ...]
    older: tuple[Trial, ...]
    impossible: tuple[str, ...] = ()

    @property
    def failed(self) -> list[Trial]:
        """The failed trials that the next `make sweep` runs again."""
        return [trial for trial in self.asked if trial.status == "failed"]

    def lines(self) -> list[str]:
        """In words, how many trials succeeded, and what is left of earlier versions of the file."""
        n_succeeded = sum(trial.status == "succeeded" for trial in self.asked)
        n_cancelled = sum(trial.status == "cancelled" for trial in self.asked)
        cancelled = f", {n_cancelled} cancelled (`make sweep` runs them)" if n_cancelled else ""
        n_stopped = sum(trial.status == "stopped" for trial in self.asked)
        stopped = f", {n_stopped} stopped early, they could not win" if n_stopped else ""
        lines = [f"{n_succeeded} of {len(self.asked)} trials succeeded{stopped}{cancelled}"]
        if self.older:
            lines.append(_describe_older(self.older))
        return lines


def judge_end(
    configs: Sequence[TrialConfig], trials: Sequence[Trial], impossible: tuple[str, ...] = ()
) -> SweepEnd:
    """Pure: tell the trials of the sweep file from those that have left it."""
    asked = {config.config_hash for config in configs}
    return SweepEnd(
        asked=tuple(trial for trial in trials if trial.config_hash in asked),
        older=tuple(trial for trial in trials if trial.config_hash not in asked),
        impossible=impossible,
    )


def _describe_older(trials: Sequence[Trial]) -> str:
    failed = [trial.label for trial in trials if trial.status == "failed"]
    named = f" ({len(failed)} failed: {', '.join(failed)})" if failed else ""
    they, stay = ("trial", "stays as it is") if len(trials) == 1 else ("trials", "stay as they are")
    return f"{len(trials)} older {they} that the sweep file no longer asks for {stay}{named}"
