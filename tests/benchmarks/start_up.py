"""What a task process pays before its first step; called in a fresh process."""

import importlib
import time
from collections.abc import Callable


def time_start_up(*, prepared: str) -> dict[str, float]:
    """Seconds of each part, in the order of a worker."""

    def timed(call: Callable[[], object]) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    from tests.benchmarks.prepared import open_dataset  # noqa: PLC0415  TensorFlow is to be timed first.

    return {
        "import of TensorFlow": timed(lambda: importlib.import_module("tensorflow")),
        "import of Keras and the worker": timed(
            lambda: importlib.import_module("worker.families.tower.training")
        ),
        "load of the prepared data set": timed(lambda: open_dataset(prepared)),
    }
