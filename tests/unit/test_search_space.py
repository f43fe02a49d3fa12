"""Ranges beside lists, and the space that the tables of a search make."""

from pathlib import Path

import numpy as np
import pytest

from scheduler.sweep.expand import expand
from scheduler.sweep.search.axes import Range
from scheduler.sweep.search.counting import n_of
from scheduler.sweep.search.space import space_of
from scheduler.sweep.search.words import describe_search, expected_trials
from scheduler.sweep.spec import parse_spec, read_spec
from scheduler.sweep.suitable import suited_to
from shared.domain.families.matrix_factorization import MatrixFactorization
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.errors import SpecError
from tests.factories import make_dataset

_TABLE = '[[models]]\nfamily = "matrix_factorization"\n'
_SEARCH = '[search]\nmethod = "tpe"\nn_trials = 4\n'


def _read(tmp_path: Path, text: str, search=None):
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return read_spec(path, search)


def _space(*models):
    document = {"models": list(models), "search": {"method": "tpe", "n_trials": 4}}
    return space_of(parse_spec(document, Path("sweep.toml")))


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("size = { from = 8, to = 64 }", Range(8, 64, is_log=False, is_whole=True)),
        ('user_l2 = { from = 0.1, to = 1, scale = "log" }', Range(0.1, 1.0, is_log=True, is_whole=False)),
        ("user_l2 = { from = 0.1, to = 0.5, step = 0.1 }", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("size = { from = 8, to = 30, step = 8 }", (8, 16, 24)),
    ],
)
def test_a_range_is_read_beside_lists(tmp_path, axis, expected):
    (table,) = _read(tmp_path, f"{_TABLE}{axis}\n{_SEARCH}").tables
    assert tuple(table.axes.values()) == (expected,)


@pytest.mark.parametrize(
    ("axis", "place", "rule"),
    [
        ("size = { from = 0, to = 64 }", "models[0].size.from", "greater than or equal to 1; got 0"),
        ("size = { from = 8, to = 6.5 }", "models[0].size.to", "valid integer; got 6.5"),
        ("size = { from = 8 }", "models[0].size.to", "missing"),
        ("size = { from = 8, to = 64, form = 3 }", "models[0].size.form", "known are from, to, scale, step"),
        ("size = { from = 8, to = 8 }", "models[0].size", "from must be below to; got 8 and 8"),
        ("size = { from = 1, to = 64, step = 64 }", "models[0].size", "step must be at most to - from"),
        ("user_l2 = { from = 0.0, to = 1, step = 1e-6 }", "models[0].user_l2", "at most 10000 steps"),
        ('user_l2 = { from = 0, to = 1, scale = "log" }', "models[0].user_l2", "from must be above 0"),
        (
            'user_l2 = { from = 1, to = 4, scale = "log", step = 1 }',
            "models[0].user_l2",
            'a step is of scale = "linear"',
        ),
        ("user_l2 = { from = 0.1, to = inf }", "models[0].user_l2.to", "finite number"),
        ("loss = { from = 1, to = 2 }", "models[0].loss", "only numbers have ranges"),
        ("biases = { from = 0, to = 1 }", "models[0].biases", "only numbers have ranges"),
    ],
)
def test_a_mistake_in_a_range_is_told_with_its_place(tmp_path, axis, place, rule):
    with pytest.raises(SpecError) as caught:
        _read(tmp_path, f"{_TABLE}{axis}\n{_SEARCH}")
    message = str(caught.value)
    assert f"sweep.toml: {place}: " in message
    assert rule in message
    assert "\n" not in message


def test_a_grid_takes_the_steps_of_a_range_and_refuses_one_without(tmp_path):
    grid = "[grid]\nmerge = ['dot']\nembedding_size = { from = 4, to = 8, step = 2 }\ndense_layers = [[1]]\n"
    labels = [one.label for one in expand(_read(tmp_path, grid)) if not one.is_baseline]
    assert labels == ["dot_4_1", "dot_6_1", "dot_8_1"]
    with pytest.raises(SpecError, match=r"grid\[0\]\.embedding_size: a grid needs every value of a range"):
        _read(tmp_path, grid.replace(", step = 2", ""))


@pytest.mark.parametrize(
    ("search", "rule"),
    [
        ({"method": "tpe"}, 'method = "tpe" needs an end; write n_trials'),
        ({"n_trials": 4}, "search.n_trials: a grid runs all its trials"),
        ({"budget_minutes": 4.0}, "search.budget_minutes: a grid runs all its trials"),
        ({"method": "tpe", "n_trials": 20_000}, "search.n_trials"),
    ],
)
def test_a_search_without_an_end_and_an_end_without_a_search_are_refused(tmp_path, search, rule):
    with pytest.raises(SpecError) as caught:
        _read(tmp_path, f"{_TABLE}size = [8, 16]\n", search)
    assert rule in str(caught.value)


def test_a_search_needs_something_to_choose(tmp_path):
    with pytest.raises(SpecError, match=r"models\[0\]: a search needs an axis to choose from"):
        _read(tmp_path, f"{_TABLE}size = 8\n{_SEARCH}")


def test_the_command_line_stands_over_the_file_and_in_the_stored_document(tmp_path):
    text = f"{_TABLE}size = [8, 16]\n{_SEARCH}seed = 3\n"
    spec = _read(tmp_path, text, {"n_trials": 9, "method": None})
    assert (spec.search.method, spec.search.n_trials, spec.search.seed) == ("tpe", 9, 3)
    assert spec.document["search"] == {"method": "tpe", "n_trials": 9, "seed": 3}
    grid = _read(tmp_path, text, {"method": "grid"})
    assert grid.search.method == "grid"
    assert len(expand(grid)) == 2 + 2


def test_values_are_rounded_to_what_a_person_can_read():
    linear, log = Range(0.0, 0.5, is_log=False, is_whole=False), Range(1e-4, 1.0, is_log=True, is_whole=False)
    assert linear.rounded(0.123456) == 0.1235
    assert log.rounded(0.000123456) == 0.000123
    assert log.rounded(0.9999999) == 1.0
    random = np.random.default_rng(0)
    assert all(log.draw(random) in log for _ in range(100))


def test_trials_are_found_in_the_space_and_others_are_not():
    space = _space({"family": "matrix_factorization", "size": {"from": 8, "to": 64}, "loss": ["bpr", "bce"]})
    (branch,) = space.branches

    def found(training=None, **settings):
        architecture = MatrixFactorization(**settings)
        return branch.find(TrialConfig(architecture, training or architecture.default_training))

    assert found(size=8, loss="bce") == {"loss": "bce", "size": 8}
    assert found(size=7, loss="bce") is None
    assert found(size=8, loss="softmax") is None
    assert found(size=8, loss="bce", biases=False) is None
    assert found(TrainingConfig(), size=8, loss="bce") is None


def test_a_penalty_that_is_the_best_for_its_loss_is_found_though_it_is_stored_as_none():
    space = _space({"family": "matrix_factorization", "user_l2": [0.2, 0.5], "size": [8, 16]})
    (branch,) = space.branches
    parameters = {"size": 8, "user_l2": 0.5}
    assert branch.config(parameters).architecture.user_l2 is None
    assert branch.find(branch.config(parameters)) == parameters


def test_combinations_that_are_one_trial_count_once():
    space = _space({"family": "matrix_factorization", "loss": ["softmax", "bpr"], "negatives": [2, 4, 8]})
    assert (space.size, n_of(space)) == (6, 1 + 3)
    assert n_of(_space({"family": "ease", "l2": {"from": 1, "to": 9}})) is None


def test_values_that_never_go_together_are_refused_before_anything_runs():
    document = {
        "grid": {
            "merge": ["dot"],
            "embedding_size": {"from": 4, "to": 8},
            "dense_layers": [[1]],
            "schedule": ["cosine"],
        },
        "search": {"method": "random", "n_trials": 4},
    }
    spec = parse_spec(document, Path("sweep.toml"))
    with pytest.raises(SpecError, match=r"grid\[0\]: schedule of tower must be constant; got 'cosine'"):
        suited_to(spec, make_dataset())


def test_a_plan_says_what_a_search_would_choose_from():
    document = {
        "models": [
            {"family": "ease", "l2": {"from": 1, "to": 9}, "dropout": [0.0, 0.2]},
            {"family": "item_knn"},
        ],
        "search": {"method": "tpe", "n_trials": 40, "budget_minutes": 5},
    }
    lines = describe_search(parse_spec(document, Path("sweep.toml")), 1_000_209, 2)
    assert lines[:3] == [
        "Search tpe with seed 0, until 40 trials or 5 minutes: more combinations than it counts",
        "  ease: l2 1 to 9, dropout 0.0, 0.2",
        "  item_knn: one trial",
    ]
    assert lines[3].startswith("To choose: 40, about ")
    assert len(expected_trials(parse_spec(document, Path("sweep.toml")))) == 40
