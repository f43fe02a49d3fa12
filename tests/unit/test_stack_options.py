"""What a command of the product gets of the person's options in the scheduler's container."""

import subprocess

import pytest

from scheduler.stack import commands


@pytest.fixture
def ran(monkeypatch):
    """The commands that were run, each with what was written to it."""
    done = []
    monkeypatch.setattr(commands, "_scheduler", lambda: "container")
    monkeypatch.setattr(commands, "run_in_foreground", lambda command, _: done.append((command, None)) or 0)
    monkeypatch.setattr(subprocess, "run", lambda command, **given: done.append((command, given["input"])))
    for name in commands._PASSED:
        monkeypatch.delenv(name, raising=False)
    return done


def test_a_promotion_is_told_whether_to_refit(ran, monkeypatch):
    monkeypatch.setenv("TRIAL", "ease")
    monkeypatch.setenv("REFIT", "0")
    commands.run(["promote"])
    ((command, _),) = ran
    words = " ".join(command)
    assert "--env TRIAL" in words
    assert "--env REFIT" in words
    assert words.endswith("container python -m scheduler promote")


def test_a_file_of_a_history_is_copied_into_the_container(ran, monkeypatch, tmp_path):
    path = tmp_path / "my history.csv"
    path.write_text("1,5\n")
    environments = []
    monkeypatch.setenv("HISTORY", str(path))
    monkeypatch.setattr(commands, "run_in_foreground", lambda _, variables: environments.append(variables))
    commands.run(["recommend"])
    ((command, content),) = ran
    assert (environments[0]["HISTORY"], content) == (command[-1], b"1,5\n")
    assert command[-1].endswith("/my_history.csv")
    assert command[-1] != str(path)


@pytest.mark.parametrize("history", ["1,260:5", "x" * 5000, "no/such/file"])
def test_what_is_no_file_is_passed_on_as_it_is(ran, monkeypatch, history):
    monkeypatch.setenv("HISTORY", history)
    commands.run(["recommend"])
    ((command, _),) = ran
    assert "--env HISTORY" in " ".join(command)
