"""The variables that a worker needs before its libraries are imported."""

# One task process a core, one thread each; TensorFlow reads these when it is imported.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    # Its errors are raised too; as lines of the log it also calls every kept program a danger, since it
    # compares the processor's tuning hints with a list of instruction sets.
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


def worker_variables() -> dict[str, str]:
    """Threads, memory and soft shutdown of a worker and its task processes."""
    return _ONE_THREAD | _SOFT_SHUTDOWN
