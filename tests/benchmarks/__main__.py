"""`make bench`: every part one after another, as one Markdown document; exit code 1 when a bar is missed.

Everything is measured in one run on this machine. Each part also runs alone, by the command below its title.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from shared.services import count_cores
from shared.settings import PROJECT_ROOT
from shared.version import code_version
from tests.benchmarks.prepared import set_data_dir
from tests.benchmarks.report import MISSED, parse_options

PARTS = ("fit", "limit", "growth", "sweep", "writing", "peers", "recommend")


def main() -> None:
    options = parse_options(__doc__)
    set_data_dir()
    print_machine()
    started = time.monotonic()
    problems = []
    for part in PARTS:
        arguments = ["--quick"] if options.quick else []
        problems += run_part(f"bench_{part}", arguments)
    print(
        f"\n## Summary\n\nMeasured in {(time.monotonic() - started) / 60:.0f} minutes. {load()}\n", flush=True
    )
    print("\n".join(f"- {problem}" for problem in problems) if problems else "Every bar is met.")
    sys.exit(1 if problems else 0)


def run_part(part: str, arguments: Sequence[str]) -> list[str]:
    """Run a part, pass on what it prints, and give its missed bars."""
    problems = []
    command = [sys.executable, "-m", f"tests.benchmarks.{part}", *arguments]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if MISSED in line:
                problems.append(f"{part}: {line.strip()}")
    if process.returncode != 0:
        problems.append(f"{part} ended with exit code {process.returncode}")
    return problems


def print_machine() -> None:
    names = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "celery")
    versions = ", ".join(f"{name} {found}" for name in names if (found := _version(name)))
    print("# Benchmarks\n")
    print(f"{_processor()}, {count_cores()} cores, {platform.system()} {platform.release()}.")
    print(f"Python {platform.python_version()}, {versions}. Code {code_version()}. {load()}", flush=True)


def load() -> str:
    """How busy the machine is, ourselves included: figures of a busy machine mean little."""
    return f"Load average {os.getloadavg()[0]:.1f}."


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except ImportError:
        return None


if __name__ == "__main__":
    main()
