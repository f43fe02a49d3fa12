"""What was read of a source before: mapped again, not read, while its files are as they were."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from shared.artifacts import write_large_artifact
from shared.datasets.dataset import Dataset, read_dataset
from shared.datasets.sources.columns import SourceReport
from shared.datasets.sources.input_file import FileState, InputFile
from shared.errors import DatasetError, TrialError
from shared.files import write_whole
from shared.version import source_fingerprint

logger = logging.getLogger(__name__)

# Files that are smaller in all are read again: that takes no longer.
SMALLEST_BYTES = 1 << 20
# A file that was written so shortly before it was read may have been written again within one tick of the
# clock: its time alone says nothing then.
_TICK_NS = 2_000_000_000


@dataclass(frozen=True)
class Remembered:
    """A data set, and what was said when it was read. read_at: seconds since 1970."""

    dataset: Dataset
    notices: tuple[str, ...]
    report: SourceReport | None
    read_at: float


class ReadBefore:
    """Of one source: `asked`, and `options` that decide how it is read. What reads it is part of its name."""

    def __init__(self, cache_dir: Path, asked: str, options: object = None) -> None:
        code = source_fingerprint("shared/datasets")
        key = hashlib.sha256(json.dumps([asked, repr(options), code]).encode()).hexdigest()[:32]
        self._folder = _folder_of(cache_dir)
        self._facts = self._folder / f"{key}.json"
        self._ratings = self._folder / f"{key}.npz"
        # One source keeps one version, whatever code has read it.
        self._owner = hashlib.sha256(asked.encode()).hexdigest()[:32]

    def find(self, states: Sequence[FileState]) -> Remembered | None:
        """What was read, if these files are what it was read from: of one size and time, or one checksum."""
        try:
            facts = json.loads(self._facts.read_text(encoding="utf-8"))
            kept = [FileState(**state) for state in facts["states"]]
            if not _are_unchanged(kept, facts, states):
                return None
            traits = np.array(facts["user_traits"], np.str_) if facts["user_traits"] is not None else None
            report = facts["report"] and SourceReport(
                facts["report"]["where"],
                tuple(map(tuple, facts["report"]["roles"])),
                tuple(map(tuple, facts["report"]["examples"])),
            )
            dataset = replace(
                read_dataset(self._ratings), user_traits=traits, is_implicit=facts["is_implicit"]
            )
            return Remembered(dataset, tuple(facts["notices"]), report, facts["read_at_ns"] / 1e9)
        except (OSError, ValueError, KeyError, TypeError, DatasetError):
            # Never written, of another form, or damaged: the source itself is there to be read.
            return None

    def remember(
        self,
        states: Sequence[FileState],
        dataset: Dataset,
        notices: Sequence[str],
        report: SourceReport | None,
    ) -> None:
        """Keep what was read from these files; of a source read before, the older is let go.

        Where there is no room for it nothing is kept: the next reading takes as long as this one.
        """
        if sum(state.size_bytes for state in states) < SMALLEST_BYTES:
            return
        facts = {
            "owner": self._owner,
            "states": [asdict(state) for state in states],
            "checksums": [InputFile(state.url).checksum() for state in states],
            "read_at_ns": time.time_ns(),
            "notices": list(notices),
            "report": asdict(report) if report else None,
            "is_implicit": dataset.is_implicit,
            "user_traits": None if dataset.user_traits is None else dataset.user_traits.tolist(),
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._remove_older()
            write_large_artifact(self._ratings.as_uri(), dataset.write)
            write_whole(self._facts, json.dumps(facts))
        except (OSError, TrialError) as error:
            logger.warning("what was read is not kept for the next time: %s", error)

    def _remove_older(self) -> None:
        for facts in self._folder.glob("*.json"):
            try:
                is_same = json.loads(facts.read_text(encoding="utf-8"))["owner"] == self._owner
            except (OSError, ValueError, KeyError, TypeError):
                is_same = True
            if is_same:
                facts.unlink(missing_ok=True)
                facts.with_suffix(".npz").unlink(missing_ok=True)


def forget_sources(cache_dir: Path) -> None:
    """Remove whatever was kept: the next reading is one of the source."""
    shutil.rmtree(_folder_of(cache_dir), ignore_errors=True)


def _folder_of(cache_dir: Path) -> Path:
    return cache_dir / "sources"


def _are_unchanged(kept: Sequence[FileState], facts: dict[str, object], states: Sequence[FileState]) -> bool:
    if [(state.url, state.size_bytes) for state in kept] != [(one.url, one.size_bytes) for one in states]:
        return False
    checksums = facts["checksums"]
    assert isinstance(checksums, list)  # noqa: S101  As `remember` writes it.
    return all(
        (old == new and _tells(old, facts)) or InputFile(new.url).checksum() == checksum
        for old, new, checksum in zip(kept, states, checksums, strict=True)
    )


def _tells(state: FileState, facts: dict[str, object]) -> bool:
    """Whether a state says anything: of a file written just before it was read its time does not."""
    read_at_ns = facts["read_at_ns"]
    if state.changed.isdecimal() and isinstance(read_at_ns, int):
        return int(state.changed) <= read_at_ns - _TICK_NS
    return bool(state.changed)
