"""`python -m tests.benchmarks.screen FILE.svg`: the picture of the README, the screen of a real `make sweep`.

Runs the smoke sweep on the sample in a state folder of its own. The progress display is left out: on a
terminal it is gone at the end of a sweep.
"""

import argparse
import os
import re
import tempfile
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.text import Text

from scheduler.commands import sweeps
from scheduler.machine import clean_services
from scheduler.progress import watch_sweep
from shared.console import console
from shared.settings import load_settings
from shared.store import Trial

SWEEP, DATASET, WIDTH = "smoke", "sample", 144
_SHOWN_FOLDER = "/home/you/recsweep/.recsweep"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    target = parser.parse_args().target
    with tempfile.TemporaryDirectory(prefix="recsweep-screen-") as folder:
        os.environ["STATE_DIR"] = folder
        try:
            screen = run_sweep()
        finally:
            clean_services(load_settings())
    target.write_text(draw(screen.replace(str(Path(folder).resolve()), _SHOWN_FOLDER)), encoding="utf-8")


def run_sweep() -> str:
    """What the sweep prints but its progress, with the escape codes of its colours."""
    watch = watch_sweep

    def watch_unrecorded(*arguments: object) -> list[Trial]:
        console.record = False
        trials = watch(*arguments)  # type: ignore[arg-type]
        console.record = True
        return trials

    console.record = True
    with patch.object(sweeps, "watch_sweep", watch_unrecorded):
        sweeps.sweep.main([f"--sweep={SWEEP}", f"--dataset={DATASET}", "--workers=2"], standalone_mode=False)
    return console.export_text(styles=True)


def draw(screen: str) -> str:
    """The screen as SVG, without the fonts that a browser would fetch from elsewhere."""
    with Path(os.devnull).open("w") as nowhere:
        terminal = Console(width=WIDTH, record=True, file=nowhere, highlight=False)
        terminal.print(Text.from_ansi(screen.rstrip()))
    svg = terminal.export_svg(title=f"make sweep SWEEP={SWEEP} DATASET={DATASET}")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main()
