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


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """The folders that the container was given, and the variables of the command in it."""
    given = {"folders": [], "starts": 0}
    monkeypatch.setattr(commands, "output", lambda _: "[]")
    monkeypatch.setattr(commands, "set_in_env_file", lambda *pair: given["folders"].append(pair))
    monkeypatch.setattr(commands, "find_compose", lambda: ["compose"])
    monkeypatch.setattr(commands, "complete_env_file", lambda: False)
    monkeypatch.setattr(commands, "_n_workers", lambda: 2)
    monkeypatch.setattr(commands, "_start", lambda *_: given.update(starts=given["starts"] + 1))
    monkeypatch.setattr(
        commands, "run_in_foreground", lambda *all_: given.update(command=all_[0], seen=all_[1])
    )
    monkeypatch.chdir(tmp_path)
    for name in ("DATA_DIR", "WORKERS"):
        monkeypatch.delenv(name, raising=False)
    # What `make` would have left there otherwise.
    monkeypatch.setenv("SOURCE_DIR", "")
    return given


def test_the_folder_of_a_file_of_ratings_is_shown_to_the_container(ran, shown, monkeypatch, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "ratings.csv").write_text("user,item\n")
    monkeypatch.setenv("DATASET", "own/ratings.csv")
    monkeypatch.setenv("DATASET_NAME", "shop")
    commands.run(["data"])
    assert shown["folders"] == [("SOURCE_DIR", str(tmp_path / "own"))]
    assert shown["starts"] == 1
    assert shown["seen"]["DATASET"] == "/source/ratings.csv"
    assert "--env DATASET --env DATASET_NAME" in " ".join(shown["command"])


def test_the_database_of_a_toml_source_is_passed_by_its_variable(ran, shown, monkeypatch, tmp_path):
    (tmp_path / "shop.toml").write_text('[ratings]\nquery = "select 1"\ndatabase_url_env = "SHOP_URL"\n')
    monkeypatch.setenv("DATASET", "shop.toml")
    monkeypatch.setenv("SHOP_URL", "postgresql://secret")
    commands.run(["data"])
    assert "--env SHOP_URL" in " ".join(shown["command"])
    assert "secret" not in " ".join(shown["command"])


@pytest.mark.parametrize("name", ["ml-1m", "s3://bucket/ratings.csv", ""])
def test_a_known_set_and_a_url_are_passed_on_as_they_are(ran, shown, monkeypatch, name):
    monkeypatch.setenv("DATASET", name)
    commands.run(["data"])
    assert (shown["folders"], shown["seen"]["DATASET"]) == ([], name)


def test_a_file_that_is_not_there_is_told_before_anything_starts(ran, shown, monkeypatch):
    monkeypatch.setenv("DATASET", "nowhere.csv")
    with pytest.raises(commands.StackError, match=r"nowhere.csv: there is no such file"):
        commands.run(["sweep"])
    assert shown["starts"] == 0
