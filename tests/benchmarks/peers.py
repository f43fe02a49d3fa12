"""The venv with the peers: the project's packages, and on top those of tests/benchmarks/requirements.txt."""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
# Names a folder to keep the venv in, for more than one part.
PEERS_DIR = "PEERS_DIR"


@dataclass(frozen=True)
class Peers:
    """`python` runs with the peers; `missing`: by requirement, why it could not be installed."""

    folder: Path
    python: str
    missing: dict[str, str]


@contextmanager
def installed_peers() -> Iterator[Peers]:
    """In PEERS_DIR, or in a folder that is removed in the end; what is installed already is kept."""
    named = os.environ.get(PEERS_DIR)
    if named:
        yield _install(Path(named))
        return
    with TemporaryDirectory(prefix="recsweep-peers-") as folder:
        yield _install(Path(folder))


def _install(folder: Path) -> Peers:
    venv.create(folder, with_pip=True, symlinks=True)
    python = str(folder / "bin" / "python")
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    project_packages = sysconfig.get_path("purelib")
    (Path(site) / "project.pth").write_text(f"import site; site.addsitedir({project_packages!r})\n")
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line for line in frozen.splitlines() if "==" in line))
    missing = {}
    for requirement in _requirements():
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "-c", str(constraints), requirement],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            missing[requirement] = lines[-1] if lines else f"pip ended with {done.returncode}"
    return Peers(folder, python, missing)


def _requirements() -> Iterator[str]:
    for line in _REQUIREMENTS.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()
