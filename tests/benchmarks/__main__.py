"""`make bench`: every part one after another, as one Markdown document; exit code 1 when a bar is missed.

Everything is measured in one run on this machine. Each part also runs alone, by the command below its title.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from shared.cores import count_cores
from shared.settings import PROJECT_ROOT
from shared.version import code_version
from tests.benchmarks.peers import PEERS_DIR, Peers, installed_peers
from tests.benchmarks.prepared import movielens_1m
from tests.benchmarks.report import MISSED, print_heading

PARTS = (
    *("fit", "limit", "growth", "sizes", "reading", "compile", "sweep", "writing", "store", "page", "tabs"),
    *("verdicts", "search", "stopping", "peers", "tuners", "recommend"),
    # The bars of lists and predictions, beside the peers.
    *("families", "factors", "sampling", "shipped"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="to try the scripts: their figures mean little")
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), help="these alone, in this order")
    options = parser.parse_args()
    movielens_1m()
    print_machine()
    started = time.monotonic()
    problems = []
    with installed_peers() as peers:
        os.environ[PEERS_DIR] = str(peers.folder)
        for part in options.parts or PARTS:
            if part == "recommend":
                problems += recommend(peers, quick=options.quick)
                continue
            arguments = ["--quick"] if options.quick else []
            command = [sys.executable, "-m", f"tests.benchmarks.bench_{part}", *arguments]
            problems += run_part(command)
            if part == "compile":
                problems += run_part([*command, "--sweep"])
    minutes = (time.monotonic() - started) / 60
    print(f"\n## Summary\n\nMeasured in {minutes:.0f} minutes. {load()}\n", flush=True)
    print("\n".join(f"- {problem}" for problem in problems) if problems else "Every bar is met.")
    sys.exit(1 if problems else 0)


def recommend(peers: Peers, *, quick: bool) -> list[str]:
    """bench_recommend runs in the peers' venv, where it finds implicit."""
    print_heading("The top 20 of every user", "bench_recommend")
    command = [peers.python, "-m", "tests.benchmarks.bench_recommend"]
    if quick:
        return run_part([*command, "--repeats", "1"])
    problems = run_part(command)
    print_heading("The same at 200,000 users x 80,000 items", "bench_recommend --large")
    return problems + run_part([*command, "--large"])


def run_part(command: Sequence[str]) -> list[str]:
    """Run a part, pass on what it prints, and give its missed bars."""
    part = command[2].rpartition(".")[2]
    problems = []
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
