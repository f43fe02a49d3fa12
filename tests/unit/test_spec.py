"""Sweep files: what is accepted, and the one line that says what is wrong where."""

import re
from pathlib import Path

import pytest

from scheduler.sweep.expand import expand
from scheduler.sweep.spec import find_sweep_file, read_spec
from shared.domain.families.tower import Tower
from shared.domain.training import TrainingConfig
from shared.domain.trial import TrialConfig
from shared.errors import SpecError

_GRID = '[grid]\nmerge = ["dot"]\nembedding_size = [8]\ndense_layers = [[4, 1]]\n'


def _read(tmp_path: Path, text: str):
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return read_spec(path)


def test_reference_sweep_has_the_sixteen_labels_of_the_log_then_two_baselines():
    labels = [trial.label for trial in expand(read_spec(find_sweep_file("reference")))]
    sixteen = [
        f"{merge}_{size}_{layers}"
        for merge in ("concatenate", "multiply", "average", "dot")
        for size in (50, 100)
        for layers in ("64_32_1", "32_16_1")
    ]
    assert labels == [*sixteen, "baseline_item_popularity", "baseline_user_item_bias"]


def test_expand_drops_duplicate_architectures(tmp_path):
    spec = _read(tmp_path, _GRID.replace("[8]", "[8, 8]"))
    assert [trial.label for trial in expand(spec) if not trial.is_baseline] == ["dot_8_4_1"]


def test_several_grids_form_a_union(tmp_path):
    text = _GRID.replace("[grid]", "[[grid]]") + _GRID.replace("[grid]", "[[grid]]").replace("[8]", "[8, 9]")
    labels = [trial.label for trial in expand(_read(tmp_path, text)) if not trial.is_baseline]
    assert labels == ["dot_8_4_1", "dot_9_4_1"]


def test_training_axis_overrides_the_training_table_and_is_named_in_the_label(tmp_path):
    spec = _read(tmp_path, _GRID + "random_seed = [4, 7]\n[training]\nbatch_size = 64\n")
    trials = [trial for trial in expand(spec) if not trial.is_baseline]
    assert [trial.label for trial in trials] == ["dot_8_4_1_batch64", "dot_8_4_1_batch64_seed7"]
    assert all(trial.training.batch_size == 64 for trial in trials)


def test_protocol_change_changes_the_protocol_hash_and_a_grid_change_does_not(tmp_path):
    first = _read(tmp_path, _GRID)
    grown = _read(tmp_path, _GRID.replace("[8]", "[8, 16]"))
    other_split = _read(tmp_path, _GRID + "[protocol]\nsplit_seed = 1\n")
    assert first.protocol.protocol_hash == grown.protocol.protocol_hash
    assert first.protocol.protocol_hash != other_split.protocol.protocol_hash


def test_how_many_lists_are_kept_changes_no_identity(tmp_path):
    first, few = _read(tmp_path, _GRID), _read(tmp_path, _GRID + "[lists]\nkeep = 5\n")
    assert (first.lists_kept, few.lists_kept) == (None, 5)
    assert _read(tmp_path, _GRID + '[lists]\nkeep = "all"\n').lists_kept is None
    assert first.protocol.protocol_hash == few.protocol.protocol_hash
    assert [one.config_hash for one in expand(first)] == [one.config_hash for one in expand(few)]


def test_most_expensive_trials_are_those_that_train_longest():
    by_cost = sorted(
        expand(read_spec(find_sweep_file("reference"))), key=lambda trial: trial.expected_cost, reverse=True
    )
    assert by_cost[0].label == "dot_100_64_32_1"
    assert {trial.family for trial in by_cost[-2:]} == {"item_popularity", "user_item_bias"}


# Seconds that a core needed for training on MovieLens 1M, as the leaderboard shows them.
MEASURED = {
    "reference": {"concatenate_50_64_32_1": 7.1, "multiply_100_64_32_1": 6.1, "dot_100_64_32_1": 26.3},
    "lists": {
        "ease_l2-500_ones": 0.6,
        "weighted_als": 1.8,
        "weighted_als_size-256_l2-0.048_l2exponent-0.75_zeroweight-0.14_iterations-12": 5.6,
        "item_knn": 0.8,
        "matrix_factorization": 13.3,
        "matrix_factorization_bpr": 21.3,
        "autoencoder": 26.1,
        "neural_mf_epochs10": 51.3,
    },
    "ratings": {"bayesian_mf_userfeatures-true": 14.1, "svd_plus_plus": 10.0},
}


@pytest.mark.parametrize("sweep", MEASURED)
def test_costs_of_all_families_are_in_one_unit(sweep):
    costs = {trial.label: trial.expected_cost for trial in expand(read_spec(find_sweep_file(sweep)))}
    for label, measured in MEASURED[sweep].items():
        assert measured / 2 < costs[label] < 2 * measured, label


@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        (
            "surprise = 1\n" + _GRID,
            "surprise",
            "unknown key; known are name, grid, models, training, protocol, lists",
        ),
        (_GRID + "momentum = [0.1]\n", "grid.momentum", "unknown key"),
        (_GRID + "[training]\nmomentum = 1\n", "training.momentum", "unknown key"),
        (_GRID + "[protocol]\ntest = 1\n", "protocol.test", "unknown key"),
        (_GRID.replace('["dot"]', '["add"]'), "grid.merge[0]", "got 'add'"),
        (_GRID.replace("[8]", "[8, -2]"), "grid.embedding_size[1]", "got -2"),
        (_GRID.replace("[8]", '["8"]'), "grid.embedding_size[0]", "valid integer"),
        (_GRID.replace("[8]", "[true]"), "grid.embedding_size[0]", "valid integer"),
        (_GRID.replace("[8]", "[]"), "grid.embedding_size", "at least one value"),
        (_GRID.replace("[8]", "8"), "grid.embedding_size", "must be a list"),
        (_GRID.replace("[4, 1]", "[4, 2]"), "grid.dense_layers[0]", "last dense layer must be 1"),
        (_GRID.replace("[[4, 1]]", "[[]]"), "grid.dense_layers[0]", "last dense layer must be 1"),
        (_GRID.replace("[[4, 1]]", "[[0, 1]]"), "grid.dense_layers[0][0]", "got 0"),
        (_GRID + "learning_rate = [0.1, -1]\n", "grid.learning_rate[1]", "greater than 0"),
        (_GRID + '[training]\npatience = "two"\n', "training.patience", "valid integer"),
        (_GRID + "[protocol]\nk = 0\n", "protocol.k", "greater than or equal to 1"),
        (_GRID.replace('merge = ["dot"]\n', ""), "grid.merge", "missing"),
        ("name = 'x'\n", "grid", "missing"),
        ("grid = []\n", "grid", "empty; a [grid] table has"),
        ("name = ''\n" + _GRID, "name", "non-empty"),
        ("name = '  '\n" + _GRID, "name", "non-empty"),
        ("name = 3\n" + _GRID, "name", "got 3; write another"),
        ('name = "a\\u0000b"\n' + _GRID, "name", r"control characters; got 'a\x00b'"),
        ('name = "a\\nb"\n' + _GRID, "name", r"line ends and control characters; got 'a\nb'"),
        ('name = "a\\u001b[31m"\n' + _GRID, "name", r"got 'a\x1b[31m'"),
        (f"name = '{'x' * 5000}'\n" + _GRID, "name", "at most 100 characters"),
        ("grid = 3\n", "grid", "must be a table, [grid], or several, [[grid]]; got 3"),
        ("training = 3\n" + _GRID, "training", "must be a table; got 3"),
        ("protocol = [1]\n" + _GRID, "protocol", "must be a table; got [1]"),
        ("document = 1\n" + _GRID, "document", "unknown key"),
        (_GRID + "[lists]\nkept = 1\n", "lists.kept", "unknown key; known are keep"),
        (_GRID + "[lists]\nkeep = 0\n", "lists.keep", 'must be "all" or a whole number from 1 to 10000'),
        (_GRID + "[lists]\nkeep = true\n", "lists.keep", "of trials that keep their lists; got True"),
        (_GRID + '[lists]\nkeep = "best"\n', "lists.keep", "got 'best'"),
        (_GRID + "[lists]\nkeep = 1.5\n", "lists.keep", "got 1.5"),
        ("lists = 5\n" + _GRID, "lists", "must be a table; got 5"),
        (_GRID.replace("merge", "marge"), "grid.marge", "unknown key; known are merge, embedding_size"),
        (_GRID.replace("[[4, 1]]", "[4]"), "grid.dense_layers[0]", "must be a list"),
        (
            _GRID.replace("[grid]", "[[grid]]") + "[[grid]]\nmerge = []\n",
            "grid[1].merge",
            "at least one value",
        ),
        (_GRID + "'a\tb' = [1]\n", "grid.a b", "unknown key"),
        ("grid = [1]\n", "grid[0]", "must be a table"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_rule(tmp_path, text, place, rule):
    with pytest.raises(SpecError, match=re.escape(f"sweep.toml: {place}: ")) as caught:
        _read(tmp_path, text)
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 350


def test_invalid_toml_names_file_and_line(tmp_path):
    with pytest.raises(SpecError, match=r"sweep\.toml: not valid TOML: .*line 2"):
        _read(tmp_path, "name = 'x'\n[grid\n")


def test_a_grid_too_large_to_run_is_refused_before_it_is_expanded(tmp_path):
    huge = ", ".join(str(n) for n in range(1, 201))
    text = _GRID.replace("[8]", f"[{huge}]") + f"random_seed = [{huge}]\n"
    with pytest.raises(SpecError, match="at most 10000 trials; got 40000"):
        _read(tmp_path, text)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5_000])
def test_toml_that_python_cannot_read_is_a_mistake_too(tmp_path, text):
    with pytest.raises(SpecError, match=r"sweep\.toml: not valid TOML: "):
        _read(tmp_path, text)


def test_a_name_of_any_language_with_brackets_is_kept(tmp_path):
    assert _read(tmp_path, 'name = "essai [/1] é 映画"\n' + _GRID).name == "essai [/1] é 映画"


def test_a_sweep_without_a_name_is_called_like_its_file_which_must_be_printable_too(tmp_path):
    assert _read(tmp_path, _GRID).name == "sweep"
    path = tmp_path / "a\x1bb.toml"
    path.write_text(_GRID)
    with pytest.raises(SpecError, match="name: must be a non-empty text"):
        read_spec(path)


def test_the_document_is_the_file_as_it_was_read(tmp_path):
    spec = _read(tmp_path, _GRID + "[training]\nmax_epochs = 3\n")
    assert spec.document == {
        "grid": {"merge": ["dot"], "embedding_size": [8], "dense_layers": [[4, 1]]},
        "training": {"max_epochs": 3},
    }


def test_unknown_sweep_name_lists_the_known_ones():
    with pytest.raises(SpecError, match="reference, search, smoke"):
        find_sweep_file("referense")


def test_missing_sweep_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"absent\.toml: no such sweep file"):
        read_spec(find_sweep_file(str(tmp_path / "absent.toml")))


_MODELS = """
[[models]]
family = "ease"
l2 = [100, 300]
input = "ones"

[[models]]
family = "tower"
merge = "dot"
embedding_size = 8
dense_layers = [4, 1]
batch_size = [32, 64]
"""


def test_a_model_table_takes_a_value_or_a_list_for_each_field(tmp_path):
    labels = [trial.label for trial in expand(_read(tmp_path, _MODELS)) if not trial.is_baseline]
    assert labels == ["ease_l2-100_ones", "ease_ones", "dot_8_4_1", "dot_8_4_1_batch64"]


def test_a_list_of_lists_is_an_axis_of_a_field_that_is_a_list(tmp_path):
    text = _MODELS.replace("[4, 1]", "[[4, 1], [1]]").replace("[32, 64]", "32")
    labels = [trial.label for trial in expand(_read(tmp_path, text)) if trial.family == "tower"]
    assert labels == ["dot_8_4_1", "dot_8_1"]


def test_grids_and_models_stand_side_by_side(tmp_path):
    labels = [trial.label for trial in expand(_read(tmp_path, _GRID + _MODELS))]
    assert labels[:3] == ["dot_8_4_1", "ease_l2-100_ones", "ease_ones"]


def test_a_family_has_a_default_training_that_the_file_overrides(tmp_path, monkeypatch):
    default = TrainingConfig(optimizer="adam", batch_size=128, patience=5)
    monkeypatch.setattr(Tower, "default_training", default, raising=False)
    (trial,) = [one for one in expand(_read(tmp_path, _GRID)) if not one.is_baseline]
    assert trial.training == default
    assert trial.label == "dot_8_4_1"
    # The training of the file holds for all families, an axis for its table.
    changed = _read(tmp_path, _GRID + "batch_size = [32]\n[training]\npatience = 2\nbatch_size = 64\n")
    (trial,) = [one for one in expand(changed) if not one.is_baseline]
    assert trial.training == TrainingConfig(optimizer="adam", batch_size=32, patience=2)
    assert trial.label == "dot_8_4_1_batch32_patience2"


def test_a_default_training_of_a_family_changes_no_hash(monkeypatch):
    config = TrialConfig(Tower("dot", 8, (4, 1)), TrainingConfig(batch_size=128))
    known = config.config_hash
    monkeypatch.setattr(Tower, "default_training", TrainingConfig(batch_size=128), raising=False)
    assert config.config_hash == known


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[models]]\nfamily = "bayesian_mf"\nsweeps = [50, 5]\n',
            "models[0]: burn_in must leave sweeps to average; got burn_in 5 of sweeps 5",
        ),
        (_GRID + 'schedule = ["cosine"]\n', "grid[0]: schedule of tower must be constant; got 'cosine'"),
    ],
)
def test_values_that_do_not_go_together_are_one_line_with_their_place(tmp_path, text, message):
    with pytest.raises(SpecError, match=re.escape(f"sweep.toml: {message}")):
        expand(_read(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("l2 = [", "l3 = [", "models[0].l3: unknown key; known are l2, input, user_weight"),
        ("[100, 300]", "[100, -3]", "models[0].l2[1]: Input should be greater than 0; got -3"),
        ("[100, 300]", "-3", "models[0].l2: Input should be greater than 0; got -3"),
        (
            '"ease"',
            '"eas"',
            "models[0]: family must be one of tower, ease, weighted_als, item_knn, bayesian_mf, neural_mf, "
            "autoencoder, matrix_factorization, svd_plus_plus; got 'eas'",
        ),
        ('family = "ease"\n', "", "models[0]: missing; name a family"),
        ("[4, 1]", "[4, 2]", "models[1].dense_layers: the last dense layer must be 1"),
        ('"ones"', '"ones"\nbatch_size = 3', "models[0].batch_size: unknown key"),
    ],
)
def test_a_mistake_in_a_model_table_names_its_place(tmp_path, old, new, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        _read(tmp_path, _MODELS.replace(old, new, 1))
