"""The built-in synthetic data set: its shape, its structure, and that it is the same everywhere."""

import numpy as np
import pytest

from shared.datasets import split_ratings
from shared.datasets.sources.sample import GENRES, generate_sample
from shared.domain.protocol import Protocol


@pytest.fixture(scope="module")
def sample():
    return generate_sample()


def test_sizes_are_as_documented(sample):
    assert (sample.n_users, sample.n_items, sample.n_ratings) == (940, 1_700, 100_000)
    assert (sample.name, sample.is_synthetic) == ("sample", True)


def test_the_content_is_the_same_on_every_machine(sample):
    assert sample.fingerprint == "00bb257aba1d6e813528dc3d5eed73ea"


def test_ratings_are_whole_stars_from_1_to_5(sample):
    assert np.unique(sample.ratings).tolist() == [1, 2, 3, 4, 5]


def test_every_user_has_at_least_20_ratings(sample):
    assert np.bincount(sample.user_index).min() == 20


def test_no_user_rates_an_item_twice(sample):
    pairs = sample.user_index.astype(np.int64) * sample.n_items + sample.item_index
    assert len(np.unique(pairs)) == sample.n_ratings


def test_item_ids_have_gaps_and_some_items_no_rating(sample):
    assert int(sample.item_ids[-1]) == 1_850 > sample.n_items
    n_unrated = (np.bincount(sample.item_index, minlength=sample.n_items) == 0).sum()
    assert 40 <= n_unrated <= 60


def test_titles_say_that_they_are_synthetic(sample):
    assert sample.titles[-1] == "Synthetic item 1850 (sample)"
    assert all(title.startswith("Synthetic item ") and title.endswith(" (sample)") for title in sample.titles)


def test_genres_are_the_neutral_ones_and_some_items_have_none(sample):
    named = [genre for text in sample.genres for genre in text.split("|") if text]
    assert set(named) == set(GENRES)
    assert 0 < (sample.genres == "").sum() < 50


def test_timestamps_of_a_user_are_ascending(sample):
    same_user = np.diff(sample.user_index) == 0
    assert (np.diff(sample.user_index) >= 0).all()
    assert (np.diff(sample.timestamps)[same_user] > 0).all()


def test_few_items_take_a_large_share_of_the_ratings(sample):
    counts = np.sort(np.bincount(sample.item_index, minlength=sample.n_items))
    # The 100 most rated of 1,700 items (6 %) hold about 30 %, as in ML-100K.
    assert 0.25 < counts[-100:].sum() / sample.n_ratings < 0.35


def test_what_a_model_can_learn_beats_the_averages(sample):
    """Validation RMSE: the mean, item means, user and item biases, each well below the one before."""
    split = split_ratings(sample, Protocol())
    user, item, rating = (
        array[split.train] for array in (sample.user_index, sample.item_index, sample.ratings)
    )
    mean = rating.mean()
    n_by_user = np.bincount(user, minlength=sample.n_users)
    n_by_item = np.bincount(item, minlength=sample.n_items)
    # Damped means: an item with few ratings stays near the overall mean.
    item_bias = np.bincount(item, rating - mean, sample.n_items) / (n_by_item + 5)
    user_bias = np.bincount(user, rating - mean - item_bias[item], sample.n_users) / (n_by_user + 5)
    at = split.validation
    of_item = mean + item_bias[sample.item_index[at]]

    def rmse(prediction):
        return float(np.sqrt(np.mean((prediction - sample.ratings[at]) ** 2)))

    by_mean, by_item, by_both = rmse(mean), rmse(of_item), rmse(of_item + user_bias[sample.user_index[at]])
    assert by_mean > by_item + 0.05 > by_both + 0.10
    assert 0.95 < by_both < 1.0
