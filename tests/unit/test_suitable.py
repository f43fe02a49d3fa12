"""A sweep file beside the data: what needs ratings is refused where there are none."""

from dataclasses import replace

import pytest

from scheduler.sweep.expand import expand
from scheduler.sweep.spec import SWEEPS_DIR, read_spec
from scheduler.sweep.suitable import suited_to
from shared.errors import SpecError
from tests.factories import make_dataset

RATED = make_dataset()
VIEWED = replace(RATED, is_implicit=True, ratings=RATED.ratings * 0 + 1, name="views")


def spec_of(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_spec(path)


def test_lists_run_on_views_without_the_baseline_that_predicts_ratings():
    spec = read_spec(SWEEPS_DIR / "lists.toml")
    suited = suited_to(spec, VIEWED)
    labels = {config.label for config in expand(spec)} - {config.label for config in expand(suited)}
    assert labels == {"baseline_user_item_bias"}
    assert suited.protocol == replace(spec.protocol, relevance_threshold="none")


def test_rated_data_change_nothing():
    spec = read_spec(SWEEPS_DIR / "reference.toml")
    assert suited_to(spec, RATED) is spec


def test_an_objective_that_judges_ratings_is_refused_for_views():
    with pytest.raises(SpecError, match="reference: views holds no ratings, and its objective rmse judges"):
        suited_to(read_spec(SWEEPS_DIR / "reference.toml"), VIEWED)


def test_families_that_predict_ratings_are_refused_for_views_by_name(tmp_path):
    spec = spec_of(
        tmp_path,
        '[[models]]\nfamily = "ease"\n[[models]]\nfamily = "bayesian_mf"\n'
        '[[models]]\nfamily = "svd_plus_plus"\nsize = [8, 16, 32]\n[protocol]\nobjective = "ndcg@20"\n',
    )
    with pytest.raises(SpecError) as error:
        suited_to(spec, VIEWED)
    assert "sweep mine: views holds no ratings, and bayesian_mf, svd_plus_plus_size-8" in str(error.value)
    assert "and 1 more learn to predict ratings" in str(error.value)


@pytest.mark.parametrize(("threshold", "is_refused"), [("5.5", True), ("5.0", False), ('"none"', False)])
def test_a_threshold_that_no_rating_reaches_is_refused(tmp_path, threshold, is_refused):
    spec = spec_of(
        tmp_path,
        '[[models]]\nfamily = "ease"\n[protocol]\nobjective = "ndcg@20"\n'
        f"relevance_threshold = {threshold}\n",
    )
    rated = make_dataset(n_users=8, n_rated=5)
    if not is_refused:
        assert suited_to(spec, rated) is spec
        return
    with pytest.raises(
        SpecError, match=r"relevant from a rating of 5.5 up, and the ratings of tiny are from 1 to 5"
    ):
        suited_to(spec, rated)
