"""One measurement in a process of its own: one thread, one core if asked, a peak memory that is its own."""

import importlib
import json
import os
import subprocess
import sys
from typing import Any

from shared.settings import PROJECT_ROOT
from worker.process.environment import worker_variables

_MODULE = "tests.benchmarks.fresh_process"
_ONE_THREAD = {name for name in worker_variables() if name.endswith("_THREADS")} | {"MALLOC_ARENA_MAX"}


class MeasurementError(Exception):
    """The process ended with an error; its last words are the message."""


def measure(
    function: str,
    *,
    python: str = sys.executable,
    all_threads: bool = False,
    core: int | None = None,
    **arguments: Any,
) -> Any:
    """What `module:function` of this package gives for the arguments, both as JSON, in a fresh process.

    Libraries get one thread each, as a worker has, unless `all_threads`; `core` is the only one it may use.
    """
    environment = {**os.environ, **worker_variables(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if all_threads:
        environment = {name: value for name, value in environment.items() if name not in _ONE_THREAD}
    done = subprocess.run(
        [python, "-m", _MODULE, function, json.dumps({"core": core, "arguments": arguments})],
        env=environment,
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise MeasurementError(f"{function}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """The fresh process: the result is the last line of its output."""
    module, function = sys.argv[1].split(":")
    request = json.loads(sys.argv[2])
    if request["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {request["core"]})
    result = getattr(importlib.import_module(f"tests.benchmarks.{module}"), function)(**request["arguments"])
    print(f"\n{json.dumps(result)}", flush=True)


if __name__ == "__main__":
    main()
