"""Blends: what they are known by, their scores, their weights, and the promises of every family."""

import dataclasses
import io
import json

import numpy as np
import pytest
from pydantic import ValidationError

from shared.datasets import refit_split
from shared.domain.families import FAMILIES, expected_memory_of
from shared.domain.families.bayesian_mf import BayesianMf
from shared.domain.families.blend import Blend, BlendPart
from shared.domain.families.ease import Ease
from shared.domain.families.item_knn import ItemKnn
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.trial import TrialConfig, parse_trial_config
from shared.errors import TrialError
from tests.contract.data import EDGES, ORDINARY, PROTOCOL
from worker.families import blend as family
from worker.families.blend.weights import choose_weights
from worker.families.contract import FitContext, FittedPart
from worker.families.registry import family_of, pack_model, read_model
from worker.metrics.objective import objective_on_validation
from worker.ranking import standardised_sum
from worker.ranking.scorers import HistoryScorer
from worker.ranking.standardised_sum import Scale, StandardisedSum, measure_scale
from worker.ranking.top_k import recommend_all

N_USERS, N_ITEMS = ORDINARY.shape
COLD_USER = N_USERS - 1
USERS = np.arange(N_USERS)
PARTS = (Ease(l2=5.0), ItemKnn(neighbours=5), WeightedAls(size=4))


def part_of(architecture):
    config = TrialConfig(architecture)
    return BlendPart(config.config_hash, config.label, config.canonical)


def blend_of(*architectures, weights="equal"):
    return Blend(tuple(part_of(one) for one in architectures), weights)


def models_of(blend, sample):
    """Fitted parts in the order of the blend."""
    fits = [
        family_of(config.architecture).fit(config.architecture, None, sample.data, FitContext())
        for config in blend.configs
    ]
    return tuple(FittedPart(one.weights, one.n_parameters) for one in fits)


def fit(blend, sample, **context):
    parts = context.pop("parts", None) or models_of(blend, sample)
    return family.fit(blend, None, sample.data, FitContext(parts=parts, **context))


def scores_of(scorer, users, n_items):
    rows, columns = (one.ravel() for one in np.meshgrid(users, np.arange(n_items), indexing="ij"))
    return scorer.score_pairs(rows, columns).reshape(len(users), n_items)


def test_a_blend_is_known_by_the_hashes_of_its_parts_and_its_rule_alone():
    blend = blend_of(*PARTS)
    assert blend.label.startswith("blend_ease_item_knn_weighted_als_")
    assert blend == blend_of(*reversed(PARTS))
    config = TrialConfig(blend)
    assert parse_trial_config(json.loads(json.dumps(config.canonical))) == config
    relabelled = dataclasses.replace(
        blend.parts[0], label="other", config={**blend.parts[0].config, "new": 1}
    )
    same = Blend((relabelled, *blend.parts[1:]))
    assert TrialConfig(same).config_hash == config.config_hash
    others = [
        blend_of(*PARTS, weights="validation"),
        blend_of(*PARTS[:2]),
        blend_of(Ease(l2=6.0), *PARTS[1:]),
    ]
    for other in others:
        assert TrialConfig(other).config_hash != config.config_hash
        assert other.label != blend.label
    assert config.random_seed is None
    assert hash(config) == hash(TrialConfig(blend_of(*PARTS)))


@pytest.mark.parametrize("parts", [PARTS[:1], (Ease(), Ease(l2=3.0)), ()])
def test_a_blend_of_one_family_is_refused(parts):
    with pytest.raises(ValidationError, match="two families or more, each once"):
        blend_of(*parts)
    with pytest.raises(ValidationError, match="two families or more, each once"):
        Blend((part_of(Ease()), BlendPart("0" * 16, "blend", {"family": "blend"}), part_of(Ease())))


def test_a_blend_needs_the_memory_of_its_parts_together():
    sizes = (10, 20, 30)
    assert expected_memory_of(blend_of(*PARTS), *sizes) == expected_memory_of(Ease(), *sizes) == 8 * 20**2


def test_scores_are_the_weighted_sums_of_standardised_scores():
    blend = blend_of(*PARTS)
    models = models_of(blend, ORDINARY)
    parts = tuple(
        dataclasses.replace(one, weight=weight) for one, weight in zip(models, (0.5, 0.3, 0.2), strict=True)
    )
    fitted = fit(blend, ORDINARY, parts=parts)
    scorer = family.make_scorer(blend, fitted.weights, ORDINARY.data)

    expected = np.zeros(ORDINARY.shape)
    for config, model, weight in zip(blend.configs, models, (0.5, 0.3, 0.2), strict=True):
        one = family_of(config.architecture).make_scorer(config.architecture, model.weights, ORDINARY.data)
        scores = scores_of(one, USERS, N_ITEMS)
        deviation = scores.std(axis=1, keepdims=True)
        deviation[deviation == 0] = np.inf
        expected += weight * (scores - scores.mean(axis=1, keepdims=True)) / deviation
    np.testing.assert_allclose(scores_of(scorer, USERS, N_ITEMS), expected, atol=1e-5)
    assert fitted.part_weights == (0.5, 0.3, 0.2)
    assert fitted.n_parameters == sum(one.n_parameters for one in models) + 3
    assert fitted.summary.startswith("weights, as they were chosen before: ease_l2-5 0.500, item_knn")
    # The cold user has no inputs, so that no part tells the items apart.
    assert not scores_of(scorer, np.array([COLD_USER]), N_ITEMS).any()
    with pytest.raises(NotImplementedError):
        scorer.predict_ratings(np.array([0]), np.array([0]))


def test_blocks_are_within_the_bound_and_lists_are_those_of_brute_force():
    blend = blend_of(*PARTS)
    scorer = family.make_scorer(blend, fit(blend, ORDINARY).weights, ORDINARY.data)
    exact = scores_of(scorer, USERS, N_ITEMS)
    errors = np.abs(scorer.score_block(USERS) - exact).max(axis=1)
    assert (errors <= scorer.error_bound(USERS)).all()
    assert (errors > 0).any()

    lists = recommend_all(scorer, ORDINARY.dataset, ORDINARY.split, PROTOCOL).recommendations
    again = recommend_all(
        scorer, ORDINARY.dataset, ORDINARY.split, PROTOCOL, n_threads=2, block_scores=7 * N_ITEMS
    ).recommendations
    rated = np.zeros(ORDINARY.shape, bool)
    rated[ORDINARY.dataset.user_index, ORDINARY.dataset.item_index] = True
    for name in ("user_index", "rank", "item_index", "score"):
        np.testing.assert_array_equal(getattr(lists, name), getattr(again, name))
    for user in range(N_USERS):
        own = np.where(rated[user], -np.inf, exact[user].astype(np.float32))
        best = np.lexsort((np.arange(N_ITEMS), -own))[: PROTOCOL.k]
        np.testing.assert_array_equal(lists.item_index[lists.user_index == user], best)


def test_a_fit_is_the_same_again_and_saved_is_what_was_fitted():
    blend = blend_of(*PARTS, weights="validation")
    objective = objective_on_validation(ORDINARY.dataset, ORDINARY.split, PROTOCOL, predicts_ratings=False)
    protocol = dataclasses.replace(PROTOCOL, objective="ndcg")
    objective = objective_on_validation(ORDINARY.dataset, ORDINARY.split, protocol, predicts_ratings=False)
    first, again = (fit(blend, ORDINARY, objective_of=objective) for _ in range(2))
    assert "chosen on validation" in first.summary
    loaded = read_model(family, pack_model(family, first))
    for weights in (again.weights, loaded):
        assert weights.keys() == first.weights.keys()
        for name, array in first.weights.items():
            np.testing.assert_array_equal(weights[name], array)
    scorers = [family.make_scorer(blend, weights, ORDINARY.data) for weights in (first.weights, loaded)]
    np.testing.assert_array_equal(*(scores_of(one, USERS, N_ITEMS) for one in scorers))
    equal = fit(dataclasses.replace(blend, weights="equal"), ORDINARY)
    of_equal = objective(family.make_scorer(blend, equal.weights, ORDINARY.data))
    assert objective(scorers[0]) >= of_equal


def test_without_an_objective_the_weights_are_equal_and_it_says_why():
    fitted = fit(blend_of(*PARTS[:2], weights="validation"), ORDINARY)
    assert fitted.part_weights == (0.5, 0.5)
    assert "cannot be measured on validation" in fitted.summary


def test_histories_are_scored_if_all_parts_do_and_as_the_user_who_has_them():
    blend = blend_of(*PARTS[:2])
    assert blend.scores_histories
    scorer = family.make_scorer(blend, fit(blend, ORDINARY).weights, ORDINARY.data)
    assert isinstance(scorer, HistoryScorer)
    exact, ratings = scores_of(scorer, USERS, N_ITEMS), ORDINARY.data.by_user
    for user in (0, 7, COLD_USER):
        told = scorer.score_history(ratings[user].indices, ratings[user].data)
        np.testing.assert_allclose(told, exact[user], atol=1e-5)
    mixed = blend_of(PARTS[0], BayesianMf(size=3, sweeps=4, burn_in=1))
    assert not mixed.scores_histories
    assert not isinstance(
        family.make_scorer(mixed, fit(mixed, ORDINARY).weights, ORDINARY.data), HistoryScorer
    )


@pytest.mark.parametrize("name", EDGES)
def test_the_dullest_data_are_ranked(name):
    sample = EDGES[name]
    blend = blend_of(*PARTS)
    scorer = family.make_scorer(blend, fit(blend, sample).weights, sample.data)
    lists = recommend_all(scorer, sample.dataset, sample.split, PROTOCOL).recommendations
    assert np.isfinite(lists.score).all()
    n_users, n_items = sample.shape
    users = np.arange(n_users)
    errors = np.abs(scorer.score_block(users) - scores_of(scorer, users, n_items)).max(axis=1)
    assert (errors <= scorer.error_bound(users)).all()


class Noise:
    """Scores that are all 1 but for errors within the bound."""

    predicts_ratings = False
    n_items = 50

    def score_block(self, user_index):
        noise = np.random.default_rng(0).uniform(-1e-7, 1e-7, (len(user_index), self.n_items))
        return (1 + noise).astype(np.float32)

    def error_bound(self, user_index):
        return np.full(len(user_index), 2e-7)

    def score_pairs(self, user_index, item_index):
        return np.ones(len(user_index))


def test_a_deviation_that_errors_alone_could_make_is_none():
    scale = measure_scale(Noise(), 3, lambda: None)
    assert not scale.deviation.any()
    total = StandardisedSum([Noise()], [scale], [1.0])
    assert not total.score_block(np.arange(3)).any()
    assert not total.score_pairs(np.arange(3), np.arange(3)).any()


def test_a_fit_stops_when_it_is_told(monkeypatch):
    monkeypatch.setattr(standardised_sum, "users_at_once", lambda _: 20)
    blend = blend_of(*PARTS[:2])
    looks = []
    fit(blend, ORDINARY, check_stop=lambda: looks.append(1))
    # 60 users in blocks of 20, for each of two parts.
    assert len(looks) == 6


def test_weights_are_found_where_the_value_is_largest_and_none_is_tried_twice():
    target = np.array([0.6, 0.3, 0.1])
    tried = []

    def value_of(weights):
        tried.append(tuple(np.round(weights, 9)))
        return -float(((weights - target) ** 2).sum())

    chosen = choose_weights(value_of, np.full(3, 1 / 3))
    assert np.abs(chosen.weights - target).max() < 0.08
    assert chosen.weights.sum() == pytest.approx(1)
    assert len(set(tried)) == len(tried) == chosen.n_tried < 60
    assert chosen.value == pytest.approx(max(value_of(np.array(one)) for one in list(tried)), abs=1e-9)


def test_a_part_that_only_harms_gets_no_weight():
    chosen = choose_weights(lambda weights: float(weights[0] - weights[1]), np.full(2, 0.5))
    assert chosen.weights == pytest.approx([1, 0], abs=1e-6)


def test_a_model_of_another_family_is_refused():
    content = io.BytesIO(
        pack_model(family_of(Ease()), family_of(Ease()).fit(Ease(), None, ORDINARY.data, FitContext()))
    )
    with pytest.raises(TrialError, match="it is of ease"):
        read_model(family, content.getvalue())


def test_a_refit_is_of_the_refitted_parts_with_the_chosen_weights():
    blend, sample = blend_of(*PARTS[:2], weights="validation"), ORDINARY
    parts = tuple(
        dataclasses.replace(one, weight=w)
        for one, w in zip(models_of(blend, sample), (0.9, 0.1), strict=True)
    )
    assert len(refit_split(sample.dataset).validation) == 0
    assert fit(blend, sample, parts=parts).part_weights == (0.9, 0.1)


def test_missing_models_are_an_error():
    with pytest.raises(TrialError, match="a blend of 3 parts was given 2 models"):
        fit(blend_of(*PARTS), ORDINARY, parts=models_of(blend_of(*PARTS[:2]), ORDINARY))


def test_a_scale_has_a_number_a_user():
    scale = measure_scale(Noise(), 4, lambda: None)
    assert isinstance(scale, Scale)
    assert scale.mean == pytest.approx(np.ones(4))
    assert "blend" in FAMILIES
