"""Resident memory of this process: its peak since a chosen moment, and giving back what is free."""

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

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
