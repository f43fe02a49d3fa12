"""The variables that a worker needs before its libraries are imported."""

import os
from pathlib import Path

from worker.process.private_folder import NotPrivateError, make_private

# One task process a core, one thread each; TensorFlow reads these when it is imported.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    # See `quiet_tensorflow`.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # One thread allocates: arenas of others only hold on to free memory.
    "MALLOC_ARENA_MAX": "1",
    # Larger blocks go back to the system when they are freed; by default glibc raises this to 32 MB, and
    # arrays of every trial are cut from what the last one left.
    "MALLOC_MMAP_THRESHOLD_": "262144",
}
# SIGTERM means soft shutdown: the task goes back to the queue with its checkpoint kept.
_SOFT_SHUTDOWN = {"REMAP_SIGTERM": "SIGQUIT"}


_KEPT_LOOPS = "NUMBA_CACHE_DIR"


def worker_variables() -> dict[str, str]:
    """Threads, memory and soft shutdown of a worker and its task processes."""
    return _ONE_THREAD | _SOFT_SHUTDOWN


def kept_loops(cache_dir: Path) -> dict[str, str]:
    """Where numba keeps the loops that it compiles: it runs what it finds there, so the folder is ours alone.

    Nothing where the environment names a folder. Raises NotPrivateError unless the folder can be ours.
    """
    if os.environ.get(_KEPT_LOOPS):
        return {}
    folder = cache_dir / "loops"
    try:
        make_private(folder)
    except NotPrivateError as error:
        raise NotPrivateError(f"compiled loops are not kept in the cache: {error}") from error
    return {_KEPT_LOOPS: str(folder)}
