"""How much more memory this process may take: what is available, and the limits of its control group."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def memory_room_bytes(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Bytes that can still be taken; files cached on behalf of a group give way and do not count as taken."""
    rooms = (
        group.limit_bytes - group.taken_bytes + _cached_bytes(group.folder)
        for group in _limited_groups(cgroups, membership)
    )
    return max(0, min([psutil.virtual_memory().available, *rooms]))


def memory_limit_bytes(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Bytes that could ever be taken, were there nobody else: of the machine, or the smallest limit."""
    limits = (group.limit_bytes for group in _limited_groups(cgroups, membership))
    return min([psutil.virtual_memory().total, *limits])


@dataclass(frozen=True)
class _LimitedGroup:
    folder: Path
    limit_bytes: int
    taken_bytes: int


def _limited_groups(cgroups: Path, membership: Path) -> Iterator[_LimitedGroup]:
    """Our control group and each above it, where they have a limit; the smallest one holds."""
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, taken = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, taken = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # In a container the group's own path is often not mounted: then the mount's root is the group.
        parts = Path(path.lstrip("/")).parts
        for depth in range(len(parts), -1, -1):
            group = root.joinpath(*parts[:depth])
            numbers = [_read(group / name).strip() for name in (limit, taken)]
            if all(number.isdigit() for number in numbers):
                yield _LimitedGroup(group, *map(int, numbers))


def _cached_bytes(group: Path) -> int:
    """Inactive file cache of the group and those below it; version 1 calls that sum `total_…`."""
    fields = dict(line.split(" ", 1) for line in _read(group / "memory.stat").splitlines())
    number = fields.get("total_inactive_file", fields.get("inactive_file", "0"))
    return int(number)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
