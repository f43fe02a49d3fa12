"""`make sweep` with `[repeats]`, as a person runs it, and the leaderboard for people and for programs."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import Make

SWEEP = """
name = "seeds"
repeats = {{ seeds = {seeds}, of_best = 1 }}
[[models]]
family = "weighted_als"
size = [2, 4]
[[models]]
family = "ease"
[protocol]
objective = "ndcg@20"
test_fraction = 0.1
"""


def write(path: Path, seeds: int) -> Path:
    path.write_text(SWEEP.format(seeds=seeds))
    return path


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("repeats") / "seeds.toml", 2)


@pytest.fixture(scope="module")
def swept(make: Make, sweep_file: Path) -> str:
    result = make("sweep", f"SWEEP={sweep_file}", "DATASET=sample", "WORKERS=2")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_plan_says_that_repeats_follow_and_the_end_who_was_repeated(swept):
    assert (
        "the best configuration is trained with further random seeds until each has 2: at most 1 trial"
        in swept
    )
    assert "6 of 6 trials succeeded" in swept
    assert "Repeated with 2 random seeds each: weighted_als_" in swept
    assert "Not repeated, because nothing in them is random: ease" in swept


def test_the_verdict_comes_before_the_table(swept):
    lines = swept.splitlines()
    (sentence,) = [place for place, line in enumerate(lines) if line.startswith("Ship ")]
    (title,) = [place for place, line in enumerate(lines) if line.startswith("Sweep") and ", by ndcg" in line]
    assert sentence < title
    assert "to train" in lines[sentence]


def test_programs_read_every_column_and_nothing_else(make, swept):
    of_csv, of_json, of_md = (make("leaderboard", f"FORMAT={form}") for form in ("csv", "json", "md"))
    assert {one.returncode for one in (of_csv, of_json, of_md)} == {0}
    rows = list(csv.DictReader(io.StringIO(of_csv.stdout, newline="")))
    records = json.loads(of_json.stdout)
    assert [row["label"] for row in rows] == [record["label"] for record in records]
    assert len(of_md.stdout.splitlines()) == 2 + len(records) == 8
    repeated = [record for record in records if record["n_seeds"] == 2]
    assert len(repeated) == 2
    assert {one["spread"] for one in repeated} != {None}
    assert {one["verdict"] for one in records} <= {"winner", "tie", "worse", None}
    assert {float(row["mean_value"]) for row in rows} == {one["mean_value"] for one in records}


def test_an_unknown_format_is_one_line(make):
    result = make("leaderboard", "FORMAT=xml")
    assert (result.returncode, result.stdout) == (2, "")
    assert "recsweep: FORMAT must be one of csv, json, md; got 'xml'" in result.stderr


def test_more_seeds_add_only_what_is_new(make, swept, sweep_file):
    dry = make("sweep", f"SWEEP={write(sweep_file, 3)}", "DATASET=sample", "DRY_RUN=1")
    assert "to run 0, done 6, running 0, failed 0" in dry.stdout
    assert "until each has 3: at most 1 trial" in dry.stdout
    result = make("sweep", f"SWEEP={sweep_file}", "DATASET=sample", "WORKERS=2")
    assert "7 of 7 trials succeeded" in result.stdout
    assert "Repeated with 3 random seeds each" in result.stdout
    answer = make("query", "Q=seeds_of_configurations")
    assert answer.returncode == 0
    assert {"4", "5", "6"} <= set(answer.stdout.replace(",", " ").split())
