"""Who may import whom: scheduler -> shared <- worker, and TensorFlow only in the worker."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "shared": {"scheduler", "worker", "tensorflow", "keras"},
    "scheduler": {"worker", "tensorflow", "keras"},
    "worker": {"scheduler"},
}


def _imported_packages(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_package_imports_nothing_forbidden(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    offenders = {
        str(path.relative_to(ROOT)): sorted(_imported_packages(path) & FORBIDDEN[package])
        for path in files
        if _imported_packages(path) & FORBIDDEN[package]
    }
    assert offenders == {}


@pytest.mark.parametrize(
    ("module", "left_out"),
    [
        ("worker.task", "tensorflow keras"),
        ("worker.process.pool", "tensorflow keras"),
        ("shared.queue", "tensorflow keras"),
        # Most of the time that a command needs until it does something is that of imports.
        ("scheduler.commands.services", "scipy optuna pyarrow"),
        ("scheduler.commands.questions", "scipy optuna pyarrow celery"),
    ],
)
def test_importing_a_module_leaves_slow_libraries_out_of_the_process(module, left_out):
    code = f"import sys, {module}; sys.exit(str(set('{left_out}'.split()) & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_no_command_loads_slow_libraries_before_it_runs():
    code = (
        "import click, sys; from scheduler.command_line import recsweep; context = click.Context(recsweep);"
        "[recsweep.get_command(context, name).name for name in recsweep.list_commands(context)];"
        "left_out = {'tensorflow', 'keras', 'pandas', 'alembic', 'pooch', 'requests'};"
        "sys.exit(left_out & set(sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_command_is_loaded_without_the_others():
    code = (
        "import sys; sys.argv = ['recsweep', 'queries', '--help'];"
        "from scheduler.command_line import recsweep; recsweep(standalone_mode=False);"
        "sys.exit({'scheduler.commands.sweeps', 'scheduler.commands.results'} & set(sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "List the stored queries" in done.stdout
