"""The Kubernetes manifests against the schemas of two versions; the validator gets its own venv (100 MB)."""

import subprocess
import sys
from pathlib import Path

import pytest

_VALIDATOR = "kubernetes-validate==1.37.0"
_FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("kubernetes") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin/pip"), "install", "--quiet", _VALIDATOR], check=True, capture_output=True)
    return venv / "bin" / "kubernetes-validate"


@pytest.mark.parametrize("version", ["1.29.0", "1.37.0"])
def test_manifests_fit_the_schemas(validator: Path, version: str) -> None:
    # keda.yaml is left out: the validator has no schema for it.
    files = [str(_FOLDER / name) for name in ("recsweep.yaml", "sweep-job.yaml", "refresh-cronjob.yaml")]
    command = [str(validator), "--strict", "--kubernetes-version", version, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("passed") == 5
