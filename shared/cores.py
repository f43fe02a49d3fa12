"""How many cores this process may use: its affinity and the quota of its control group."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def count_cores(cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Whole cores, at least 1: a quota of 2.5 cores gives 2."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [int(quota) for quota in _quotas(cgroups, membership)]
    return max(1, min([available, *quotas]))


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """Quotas in cores of our control group and of all above it; the smallest one holds."""
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, read_quota = cgroups, _quota_v2
        elif "cpu" in controllers.split(","):
            root, read_quota = cgroups / "cpu", _quota_v1
        else:
            continue
        # In a container the group's own path is often not mounted: then the mount's root is the group.
        parts = Path(path.lstrip("/")).parts
        for depth in range(len(parts), -1, -1):
            quota = read_quota(root.joinpath(*parts[:depth]))
            if quota is not None:
                yield quota


def _quota_v2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _quota_v1(group: Path) -> float | None:
    quota, period = (_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
