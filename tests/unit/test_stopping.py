"""When a trial is judged, and how a rule is asked for."""

import pytest

from scheduler.sweep.spec import read_spec
from shared.domain.stopping import Stop, Stopping, parse_stopping
from shared.errors import SpecError

SWEEP = """
[[models]]
family = "matrix_factorization"
"""


@pytest.fixture
def write(tmp_path):
    def write_file(section=""):
        path = tmp_path / "mine.toml"
        path.write_text(SWEEP + section)
        return path

    return write_file


@pytest.mark.parametrize(
    ("epoch", "rung"), [(1, None), (2, 2), (5, 2), (6, 6), (17, 6), (18, 18), (29, 18), (30, None)]
)
def test_the_latest_rung_judges_but_not_after_the_last_epoch(epoch, rung):
    assert Stopping("successive_halving", min_epochs=2, reduction=3).rung(epoch, max_epochs=30) == rung


def test_the_median_judges_after_every_epoch_from_the_first_on():
    rule = Stopping("median", min_epochs=3)
    assert [rule.rung(epoch, 6) for epoch in range(1, 7)] == [None, None, 3, 4, 5, None]


@pytest.mark.parametrize("max_epochs", [1, 2])
def test_a_rung_at_or_past_the_last_epoch_means_nothing(max_epochs):
    rule = Stopping("successive_halving", min_epochs=2)
    assert [rule.rung(epoch, max_epochs) for epoch in range(1, max_epochs + 1)] == [None] * max_epochs


def test_no_rule_judges_nobody():
    assert Stopping().rung(5, 30) is None
    assert parse_stopping(None) == Stopping()


def test_the_reason_is_in_words():
    assert str(Stop("ndcg@20", 6, 6, 0.21, 0.25)) == (
        "stopped after epoch 6: ndcg@20 0.2100, 0.2500 was needed"
    )
    assert str(Stop("rmse", 8, 6, 0.9, 0.85)) == (
        "stopped after epoch 8: rmse 0.9000 by epoch 6, 0.8500 was needed"
    )


def test_a_file_asks_for_a_rule_and_the_command_line_for_another(write):
    path = write('[stopping]\nrule = "median"\nmin_epochs = 3\n')
    assert read_spec(path).stopping == Stopping("median", 3)
    spec = read_spec(path, stopping="successive_halving")
    assert spec.stopping == Stopping("successive_halving", 3)
    # It is stored with the sweep, where workers read it.
    assert spec.document["stopping"] == {"rule": "successive_halving", "min_epochs": 3}
    assert read_spec(path, stopping="none").stopping.rule == "none"
    assert read_spec(write(), stopping="median").document["stopping"] == {"rule": "median"}


def test_a_rule_changes_no_trial(write):
    assert read_spec(write(), stopping="median").tables == read_spec(write()).tables


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('rule = "hyperband"', "rule"),
        ("min_epochs = 0", "min_epochs"),
        ("reduction = 1", "reduction"),
        ("reduction = 2.5", "reduction"),
        ("patience = 3", "patience"),
    ],
)
def test_a_bad_value_is_one_line_with_its_place(write, section, words):
    path = write(f"[stopping]\n{section}\n")
    with pytest.raises(SpecError, match=words) as failure:
        read_spec(path)
    assert "\n" not in str(failure.value)
    assert str(path) in str(failure.value)


def test_a_bad_rule_of_the_command_line_is_one_line(write):
    with pytest.raises(SpecError) as failure:
        read_spec(write(), stopping="hyperband")
    assert str(failure.value) == ("STOPPING must be one of successive_halving, median, none; got 'hyperband'")
