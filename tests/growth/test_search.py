"""A search as a person runs it: interrupted, cancelled, resumed, finished, enlarged and asked about."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT, Make

_SWEEP = """
name = "searched"

[[models]]
family = "item_knn"
similarity = ["cosine", "conditional"]
shrinkage = { from = 1, to = 300, scale = "log" }

[protocol]
objective = "ndcg@20"
"""


@pytest.fixture(scope="module")
def searched(make: Make, make_environment, tmp_path_factory) -> dict[str, str]:
    """What is printed when a search of 24 trials is interrupted, cancelled, resumed and done, by step."""
    path = tmp_path_factory.mktemp("search") / "searched.toml"
    path.write_text(_SWEEP)
    asked = ["sweep", f"SWEEP={path}", "DATASET=sample", "SEARCH=tpe", "WORKERS=1"]
    outputs = {
        "plan": make(*asked, "N=24", "DRY_RUN=1").stdout,
        "interrupted": interrupted(asked, make_environment),
    }
    for step, command in {
        "cancelled": ["cancel"],
        "resumed": [*asked, "N=24"],
        "fewer": [*asked, "N=2"],
        "more": [*asked, "N=26"],
    }.items():
        result = make(*command)
        assert result.returncode == 0, result.stdout + result.stderr
        outputs[step] = result.stdout
    return outputs


def interrupted(asked: list[str], environment: dict[str, str]) -> str:
    """Ctrl-C once the first trial of the search runs."""
    lines = []
    with subprocess.Popen(
        ["make", "--no-print-directory", *asked, "N=24"],
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "item_knn" in line:
                os.killpg(process.pid, signal.SIGINT)
                break
        lines += process.stdout.readlines()
    return "".join(lines)


def test_the_plan_says_what_it_would_choose_from(searched):
    plan = "Sweep searched, 26 trials: to run 2, done 0, running 0, to choose 24, failed 0"
    assert plan in searched["plan"]
    assert "Search tpe with seed 0, until 24 trials: more combinations than it counts" in searched["plan"]
    assert "  item_knn: similarity cosine, conditional, shrinkage 1 to 300 (log)" in searched["plan"]


def test_ctrl_c_leaves_it_running_and_cancel_ends_it(searched):
    assert "The sweep goes on without you" in searched["interrupted"]
    assert "`make sweep` resumes it" in searched["cancelled"]


def test_it_goes_on_where_it_was(searched):
    assert "26 of 26 trials succeeded" in searched["resumed"]
    assert "[26/26]" in searched["resumed"]
    assert "Best so far: item_knn" in searched["resumed"]


def test_a_smaller_number_adds_none_and_a_larger_one_does(searched):
    assert "to run 0, done 26, running 0, failed 0" in searched["fewer"]
    assert "26 of 26 trials succeeded" in searched["fewer"]
    assert "to run 0, done 26, running 0, to choose 2, failed 0" in searched["more"]
    assert "28 of 28 trials succeeded" in searched["more"]


def test_every_trial_was_proposed_once_and_the_queries_tell(searched, select, make):
    chosen = select("select label, asked_by from trials join sweeps using (sweep_id) where name = 'searched'")
    assert len({row["label"] for row in chosen}) == len(chosen) == 28
    assert sum(row["asked_by"] == "search" for row in chosen) == 26
    numbers = select("select number, trial_id from proposals order by number")
    assert len({row["trial_id"] for row in numbers}) == 26
    history = make("query", "Q=search_history")
    assert history.returncode == 0
    assert "best_so_far" in history.stdout
    for query in ("axis_effects", "axis_importance"):
        answer = make("query", f"Q={query}")
        assert answer.returncode == 0
        assert "shrinkage" in answer.stdout


def test_a_search_without_an_end_is_refused_in_a_line(make: Make, tmp_path: Path):
    path = tmp_path / "searched.toml"
    path.write_text(_SWEEP)
    result = make("sweep", f"SWEEP={path}", "DATASET=sample", "SEARCH=random")
    assert result.returncode == 2
    assert 'search: method = "random" needs an end; write n_trials' in result.stderr
    assert result.stdout == ""
