"""Every family: scores and lists are exact, also of who has no ratings; what is saved scores alike."""

import io
import pickle

import numpy as np
import pytest

from shared.errors import TrialError
from tests.contract.cases import CASES, cases_with_histories, every_case, first_case_of_every_family
from tests.contract.data import EDGES, ORDINARY, PROTOCOL
from tests.contract.fits import fitted, module_of, scorer_of
from tests.unit.family_cases import all_scores
from tests.unit.ranking_cases import all_pairs, assert_same, brute_force, lists_of
from worker.families.registry import pack_model, read_model
from worker.metrics import measure
from worker.ranking.scorers import HistoryScorer, exact_scores
from worker.ranking.top_k import recommend_all

# Keras 3.15 reads variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
N_USERS, N_ITEMS = ORDINARY.shape
COLD_USER, COLD_ITEMS = N_USERS - 1, slice(N_ITEMS - 3, N_ITEMS)


@every_case
def test_blocks_stay_within_the_error_bound_which_is_small(case):
    scorer, users = scorer_of(case, ORDINARY), np.arange(N_USERS)
    scores = all_scores(scorer, N_USERS)

    bound = scorer.error_bound(users)

    assert (np.abs(scorer.score_block(users) - scores).max(axis=1) <= bound).all()
    assert bound.max() <= 1e-4 * np.abs(scores).max()


@every_case
def test_a_score_depends_on_its_pair_alone(case):
    scorer, users = scorer_of(case, ORDINARY), np.arange(N_USERS)
    whole = exact_scores(scorer, *all_pairs(N_USERS, N_ITEMS))
    order = np.random.default_rng(0).permutation(len(whole))

    for rows in (*np.array_split(order, 7), order[:1]):
        pairs = np.divmod(rows, N_ITEMS)
        np.testing.assert_array_equal(exact_scores(scorer, *pairs), whole[rows])
    bound = scorer.error_bound(users)
    for some in (users[::-1], users[5:6]):
        np.testing.assert_allclose(scorer.error_bound(some), bound[some], rtol=1e-6)


@every_case
def test_lists_are_those_of_brute_force(case):
    lists = recommend_all(scorer_of(case, ORDINARY), ORDINARY.dataset, ORDINARY.split, PROTOCOL)

    scores = all_scores(scorer_of(case, ORDINARY), N_USERS).astype(np.float32)
    expected = brute_force(scores, ORDINARY.dataset, ORDINARY.split, PROTOCOL)
    assert lists_of(lists.recommendations, N_USERS) == expected
    ranked = lists.recommendations
    np.testing.assert_array_equal(ranked.score, scores[ranked.user_index, ranked.item_index])


@every_case
def test_lists_depend_neither_on_the_size_of_blocks_nor_on_threads(case):
    sample, scorer = ORDINARY, scorer_of(case, ORDINARY)
    whole = recommend_all(scorer, sample.dataset, sample.split, PROTOCOL)

    parts = recommend_all(
        scorer, sample.dataset, sample.split, PROTOCOL, n_threads=3, block_scores=7 * N_ITEMS
    )

    assert_same(parts.recommendations, whole.recommendations)
    assert parts.evaluated.keys() == whole.evaluated.keys()
    for part, lists in whole.evaluated.items():
        assert_same(parts.evaluated[part], lists)


@every_case
def test_who_has_no_ratings_gets_a_whole_list_of_finite_scores(case):
    assert ORDINARY.n_cold_users == 1
    assert not ORDINARY.data.by_user[:, COLD_ITEMS].nnz
    scores = all_scores(scorer_of(case, ORDINARY), N_USERS)
    lists = recommend_all(scorer_of(case, ORDINARY), ORDINARY.dataset, ORDINARY.split, PROTOCOL)

    assert np.isfinite(scores[COLD_USER]).all()
    assert np.isfinite(scores[:, COLD_ITEMS]).all()
    assert len(lists_of(lists.recommendations, N_USERS)[COLD_USER]) == PROTOCOL.k


@first_case_of_every_family
@pytest.mark.parametrize("name", EDGES)
def test_the_smallest_and_the_dullest_data_are_learned_and_ranked(case, name):
    sample = EDGES[name]
    n_users, n_items = sample.shape
    scorer, users = scorer_of(case, sample), np.arange(n_users)

    scores = scorer.score_block(users)
    assert scores.shape == sample.shape
    assert np.isfinite(scores).all()
    assert (np.abs(scores - all_scores(scorer, n_users)).max(axis=1) <= scorer.error_bound(users)).all()
    rankings = recommend_all(scorer, sample.dataset, sample.split, PROTOCOL)
    exact = exact_scores(scorer, *all_pairs(n_users, n_items)).reshape(sample.shape)
    expected = brute_force(exact, sample.dataset, sample.split, PROTOCOL)
    assert lists_of(rankings.recommendations, n_users) == expected
    predicts = case.architecture.predicts_ratings
    measured = measure(scorer, sample.dataset, sample.split, PROTOCOL, rankings, predicts_ratings=predicts)
    assert np.isfinite(list(measured["validation"].values())).all()


@every_case
def test_scores_are_ratings_where_the_family_says_so(case):
    scorer = scorer_of(case, ORDINARY)

    assert scorer.predicts_ratings == case.architecture.predicts_ratings
    if scorer.predicts_ratings:
        assert np.isfinite(scorer.predict_ratings(*all_pairs(N_USERS, N_ITEMS))).all()
    else:
        with pytest.raises(NotImplementedError, match="no ratings"):
            scorer.predict_ratings(np.array([0]), np.array([0]))


@every_case
def test_what_is_saved_is_what_was_learned_bit_for_bit(case):
    result, family, users = fitted(case, ORDINARY), module_of(case), np.arange(N_USERS)

    weights = read_model(family, pack_model(family, result))

    assert weights.keys() == result.weights.keys()
    for name, array in result.weights.items():
        assert weights[name].dtype == array.dtype
        np.testing.assert_array_equal(weights[name], array)
    loaded, scorer = family.make_scorer(case.architecture, weights, ORDINARY.data), scorer_of(case, ORDINARY)
    np.testing.assert_array_equal(loaded.score_block(users), scorer.score_block(users))
    np.testing.assert_array_equal(all_scores(loaded, N_USERS), all_scores(scorer, N_USERS))


@first_case_of_every_family
@pytest.mark.parametrize(
    "fault", ["nothing", "text", "a pickle", "pickles in an archive", "cut off", "of another family"]
)
def test_a_file_that_is_no_model_is_refused(case, fault):
    model = pack_model(module_of(case), fitted(case, ORDINARY))
    other = next(one for cases in CASES.values() for one in cases if module_of(one) is not module_of(case))
    archive = io.BytesIO()
    np.savez(archive, **{name: np.array([{"a": 1}], object) for name in fitted(case, ORDINARY).weights})
    content = {
        "nothing": b"",
        "text": b"user_vectors",
        "a pickle": pickle.dumps({"user_vectors": np.zeros(3)}),
        "pickles in an archive": archive.getvalue(),
        "cut off": model[: len(model) // 2],
        "of another family": pack_model(module_of(other), fitted(other, ORDINARY)),
    }[fault]

    with pytest.raises(TrialError, match="model file must be") as told:
        read_model(module_of(case), content)
    assert told.value.reason == "artifact"


@every_case
def test_a_case_says_whether_histories_are_scored(case):
    is_able = isinstance(scorer_of(case, ORDINARY), HistoryScorer)
    assert is_able == (case.history_error is not None)


@cases_with_histories
def test_a_history_is_scored_as_the_user_who_has_it(case):
    scorer, ratings = scorer_of(case, ORDINARY), ORDINARY.data.by_user
    scores = all_scores(scorer, N_USERS)
    allowed = case.history_error * np.abs(scores).max()

    for user in (0, 7, COLD_USER):
        row = ratings[user]
        order = np.random.default_rng(user).permutation(row.nnz)
        told = scorer.score_history(row.indices[order], row.data[order])
        np.testing.assert_allclose(told, scores[user], rtol=0, atol=allowed)
