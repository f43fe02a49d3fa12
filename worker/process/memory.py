"""Resident memory of this process: its peak since a chosen moment, and giving back what is free."""

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def reset_peak_memory() -> None:
    """Start measuring anew, where the system allows it (Linux); elsewhere the peak is that of the process."""
    with suppress(OSError):
        _CLEAR_REFS.write_text("5")


def peak_memory_bytes() -> int:
    """Largest resident set size since `reset_peak_memory`, in bytes."""
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_memory_bytes() -> int:
    """How much more this process may use: what the machine has left, and its control group if it has one."""
    left = [psutil.virtual_memory().available]
    for group in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            with suppress(OSError, ValueError):
                left.append(int((group / limit).read_text()) - int((group / used).read_text()))
    return max(0, min(left))


@cache
def keep_imports() -> None:
    """Tell the garbage collector that what is there at the first call stays.

    It needs 0.15 s to look through what TensorFlow's import makes, twice a trial.
    """
    gc.collect()
    gc.freeze()


def return_memory() -> None:
    """Give back what a trial leaves: cyclic garbage, and memory that only the compiler needed."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Only glibc has it.
    if trim is not None:
        trim(0)
