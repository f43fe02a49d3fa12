"""The recipes of docs/extending.md, each followed to the letter in a copy of the project."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents import ROOT, Page
from tests.project_copy import copy_project

PAGE = Page(ROOT / "docs" / "extending.md")
RECIPES = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.text, re.MULTILINE | re.DOTALL))
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LARGEST_NUMBER_OF_FILES = 3


@dataclass(frozen=True)
class Step:
    """A block of code of a recipe: the language, and what is within the fence."""

    language: str
    code: str

    @property
    def path(self) -> str:
        """The file that it changes, named in its first line; empty where it changes none."""
        named = re.match(r"(?:# New: |# At the end of: |--- )(\S+)\n", self.code)
        return named[1] if named else ""

    def follow(self, folder: Path) -> None:
        path = folder / self.path
        first_line, _, text = self.code.partition("\n")
        if first_line.startswith("# New"):
            assert not path.exists()
            path.write_text(text)
        elif first_line.startswith("# At the end"):
            path.write_text(f"{path.read_text()}\n\n{text}")
        else:
            for hunk in text.split("---\n"):
                replace(path, hunk.splitlines(keepends=True))


def replace(path: Path, hunk: list[str]) -> None:
    """Apply the lines of a diff where the file has them, once; line numbers are not needed."""
    before, after = ("".join(line[1:] or "\n" for line in hunk if line[0] != sign) for sign in "+-")
    text = path.read_text()
    n_found = len(re.findall(f"^(?={re.escape(before)})", text, re.MULTILINE))
    assert n_found == 1, f"docs/extending.md: {path.name} has {n_found} times the lines\n{before}"
    path.write_text(f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:])


def steps_of(recipe: str) -> list[Step]:
    return [Step(*found) for found in _FENCE.findall(RECIPES[recipe])]


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    # What pytest tells its own tests would be told to those of the copy.
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_works_as_it_is_written(recipe, tmp_path):
    copy_project(ROOT, tmp_path)
    steps = steps_of(recipe)
    changed = {step.path for step in steps if step.path}
    for step in steps:
        if step.path:
            step.follow(tmp_path)

    run(["-m", "ruff", "check", *sorted(changed)], tmp_path)
    run(["-m", "ruff", "format", "--check", *sorted(changed)], tmp_path)
    commands = [step.code for step in steps if step.language == "sh"]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == ".venv/bin/python"
        assert " passed" in run([*arguments, "-p", "no:cacheprovider"], tmp_path)
    for step in steps:
        if step.language == "toml":
            (tmp_path / "toy.toml").write_text(step.code)
            code = (
                "from pathlib import Path; from scheduler.sweep.expand import expand;"
                "from scheduler.sweep.spec import read_spec;"
                "print([trial.label for trial in expand(read_spec(Path('toy.toml')))])"
            )
            assert "item_mean_damping-5" in run(["-c", code], tmp_path)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_touches_at_most_three_files_beside_tests(recipe):
    files = {step.path for step in steps_of(recipe) if step.path and not step.path.startswith("tests/")}
    assert 0 < len(files) <= _LARGEST_NUMBER_OF_FILES


def test_the_table_lists_every_recipe():
    assert {f"#{name.lower().replace(' ', '-')}" for name in RECIPES} == set(PAGE.links)


def test_a_step_that_no_longer_fits_its_file_is_told(tmp_path):
    (tmp_path / "some.py").write_text("one = 1\ntwo = 2\ntwo = 2\n")

    replace(tmp_path / "some.py", [" one = 1\n", "+three = 3\n"])
    assert (tmp_path / "some.py").read_text() == "one = 1\nthree = 3\ntwo = 2\ntwo = 2\n"
    for lines in ([" two = 2\n"], [" four = 4\n"]):
        with pytest.raises(AssertionError, match=r"docs/extending\.md: some\.py has"):
            replace(tmp_path / "some.py", lines)
