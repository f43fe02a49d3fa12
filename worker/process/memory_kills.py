"""How many processes the kernel has killed because memory ran out.

A control group counts those of its own. Where there is none that counts (no Linux, no group below the root),
there is only the count of the whole machine, which says nothing about whose process it was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

_PROC = Path("/proc")
# Where each kind of control group keeps its count, in a line "oom_kill 3".
_COUNTERS = {"cgroup2": "memory.events", "cgroup": "memory.oom_control"}
_MACHINE_COUNTERS = "vmstat"

Whose = Literal["group", "machine"]


@dataclass(frozen=True)
class MemoryKills:
    """A count at some moment, and of whom; counts of two places cannot be compared."""

    whose: Whose
    place: Path
    count: int


def count_memory_kills(proc: Path = _PROC) -> MemoryKills | None:
    """Of the control group of this process, else of the machine; None where nobody counts."""
    for place in _group_counters(proc):
        count = _read_count(place)
        if count is not None:
            return MemoryKills("group", place, count)
    place = proc / _MACHINE_COUNTERS
    count = _read_count(place)
    return None if count is None else MemoryKills("machine", place, count)


class MemoryKillLedger:
    """Gives each counted kill to one lost process at most."""

    def __init__(self) -> None:
        self._given: dict[Path, int] = {}

    def take(self, before: MemoryKills | None, after: MemoryKills | None) -> Whose | None:
        """In whose count there was a kill between the two that no other process was lost by.

        None where there was none, or where it cannot be known.
        """
        if before is None or after is None or before.place != after.place:
            return None
        count = max(before.count, self._given.get(after.place, 0))
        if after.count <= count:
            return None
        self._given[after.place] = count + 1
        return after.whose


def _group_counters(proc: Path) -> Iterator[Path]:
    """The files that may count for the control group of this process, in either version."""
    try:
        groups = (proc / "self" / "cgroup").read_text().splitlines()
        mounts = (proc / "self" / "mountinfo").read_text().splitlines()
    except OSError:
        return
    # "4:memory:/docker/3f2a", in version 2 "0::/system.slice/x": hierarchy, controllers, group.
    for _, controllers, group in (line.split(":", 2) for line in groups):
        if controllers and "memory" not in controllers.split(","):
            continue
        kind = "cgroup" if controllers else "cgroup2"
        for mount in mounts:
            # "32 31 0:29 /docker/3f2a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
            fields, _, source = mount.partition(" - ")
            mounted_kind, _, options = source.split(" ", 2)
            root, mount_point = (_unescape(field) for field in fields.split(" ")[3:5])
            is_counted = kind == "cgroup2" or "memory" in options.split(",")
            # The root of version 1 counts for all that is in no group; that of version 2 does not count.
            is_no_group = kind == "cgroup" and group == root == "/"
            path = PurePosixPath(group)
            if mounted_kind == kind and is_counted and not is_no_group and path.is_relative_to(root):
                yield Path(mount_point) / path.relative_to(root) / _COUNTERS[kind]


def _unescape(field: str) -> str:
    """A path of mountinfo, in which blanks and the like are octal: a blank is \\040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def _read_count(place: Path) -> int | None:
    try:
        lines = place.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
