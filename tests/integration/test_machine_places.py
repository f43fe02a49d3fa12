"""The embedded services in odd places: long and closed paths, other accounts, after a reboot."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from scheduler.machine import (
    ensure_services,
    postgres,
    stop_services,
)
from scheduler.machine.places import outside_home
from shared.settings import PROJECT_ROOT, Settings
from tests.embedded import SERVICE_NAMES, assert_kept, keep_something, processes_of

# Blanks, comment signs of the supervisor, a percent sign, quotes, accents; longer than a socket path.
_ODD_NAME = "a b #c ;d 100%s é'\"ü " + "long" * 40


def test_everything_killed_and_a_reused_pid_in_the_pid_file_is_recovered(settings: Settings) -> None:
    keep_something(ensure_services(settings, n_workers=1))
    victims = processes_of(settings.state_dir)
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(victims, timeout=5)
    # As after a reboot: the id in the file now belongs to a live process of the same account.
    pid_file = settings.state_dir / "postgres" / "data" / "postmaster.pid"
    _, _, rest = pid_file.read_text().partition("\n")
    account = pid_file.stat()
    with contextlib.ExitStack() as stack:
        other = subprocess.Popen(
            ["/bin/sleep", "60"], user=account.st_uid if os.geteuid() == 0 else None, cwd="/"
        )
        stack.callback(other.wait)
        stack.callback(other.kill)
        pid_file.write_text(f"{other.pid}\n{rest}")
        assert_kept(ensure_services(settings, n_workers=0))
        assert other.poll() is None


def test_an_odd_long_path_below_a_closed_folder_works(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(f"{_ODD_NAME}/{'deep' * 40}")
    clone = settings.state_dir.parent
    clone.mkdir(parents=True)
    clone.parent.chmod(0o700)
    keep_something(ensure_services(settings, n_workers=1))
    stop_services(settings)
    assert_kept(ensure_services(settings, n_workers=0))
    if os.geteuid() == 0:
        assert (outside_home(settings.state_dir.resolve()) / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another account")
def test_binaries_in_a_closed_home_are_copied_to_where_postgres_can_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = postgres.wheel_install().parent
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for folder in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, closed / folder.relative_to(package.parent))
    monkeypatch.setattr(postgres, "wheel_install", lambda: closed / package.name / "pginstall18")
    state_dir = closed / "clone"
    state_dir.mkdir()
    with postgres.running_postgres(state_dir) as server:
        assert server.install.is_relative_to(outside_home(state_dir))
        assert postgres.can_connect(server.url) is None
    assert not outside_home(state_dir).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as an ordinary user already")
def test_an_ordinary_user_can_do_the_same(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(f"{_ODD_NAME}/{'deep' * 40}")
    nobody = 65534
    settings.state_dir.parent.mkdir(parents=True)
    os.chown(settings.state_dir.parent, nobody, nobody)
    script = (
        "import scheduler.machine as s, shared.settings as t; x = t.load_settings(); "
        "s.ensure_services(x, 1); e = s.ensure_services(x, 1); "
        "print(*(f'{i.name}={i.state}' for i in s.services_status(x))); s.stop_services(x)"
    )
    with tempfile.TemporaryDirectory(prefix="recsweep-python-") as copy:
        python, variables = _python_for_everybody(Path(copy))
        done = subprocess.run(
            [python, "-c", script],
            cwd=PROJECT_ROOT,
            env={"PATH": os.environ["PATH"], "STATE_DIR": str(settings.state_dir), **variables},
            user=nobody,
            group=nobody,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{name}=running" for name in SERVICE_NAMES]
    assert {path.owner() for path in settings.state_dir.rglob("*")} == {"nobody"}


def _python_for_everybody(folder: Path) -> tuple[str, dict[str, str]]:
    """This interpreter, copied where everybody can run it when root keeps it in a closed home."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    variables = {"PYTHONPATH": f"{PROJECT_ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
    probe = ["/bin/sh", "-c", '"$1" -c ""', "sh", sys.executable]
    if subprocess.run(probe, user=65534, check=False, capture_output=True).returncode == 0:
        return sys.executable, variables
    folder.chmod(0o755)
    base, version = Path(sys.base_prefix), f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "bin").mkdir()
    shutil.copy2(base / "bin" / version, folder / "bin")
    unneeded = shutil.ignore_patterns("site-packages", "test", "idlelib", "config-*", "__pycache__")
    shutil.copytree(base / "lib" / version, folder / "lib" / version, ignore=unneeded)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy2(library, folder / "lib")
    return str(folder / "bin" / version), variables | {"LD_LIBRARY_PATH": str(folder / "lib")}
