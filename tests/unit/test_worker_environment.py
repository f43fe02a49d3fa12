"""Variables of a worker: where numba keeps what it compiles."""

import os
import stat
import subprocess
import sys

import pytest

from worker.process.environment import kept_loops
from worker.process.private_folder import NotPrivateError

_PROGRAM = """
import numpy as np
from worker.families import ease
ease._finish(np.eye(3), np.ones(3), np.ones(3))
"""


@pytest.fixture(autouse=True)
def no_folder_named(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)


def test_loops_are_kept_in_a_folder_of_this_account_alone(tmp_path):
    folder = tmp_path / "cache" / "loops"
    assert kept_loops(tmp_path / "cache") == {"NUMBA_CACHE_DIR": str(folder)}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_the_environment_names_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert kept_loops(tmp_path / "cache") == {}


def test_a_folder_that_others_may_write_to_is_refused(tmp_path):
    folder = tmp_path / "loops"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(NotPrivateError, match="loops must be closed to everybody else"):
        kept_loops(tmp_path)


def test_numba_keeps_its_loops_there(tmp_path):
    subprocess.run([sys.executable, "-c", _PROGRAM], env=os.environ | kept_loops(tmp_path), check=True)
    assert list((tmp_path / "loops").rglob("ease._finish-*.nbi"))
