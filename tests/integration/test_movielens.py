"""The real MovieLens sets, where DATA_DIR holds them."""

import time

import numpy as np
import pytest

from shared.datasets import n_item_rows, resolve_dataset, split_ratings
from shared.domain.protocol import Protocol
from shared.settings import Settings
from tests.real_data import data_dir_with

needs_ml_1m = pytest.mark.needs_data("ml-1m")
needs_ml_100k = pytest.mark.needs_data("ml-100k")


def load(name, state_dir):
    resolved = resolve_dataset(
        name, Settings(_env_file=None, data_dir=data_dir_with(name), state_dir=state_dir)
    )
    assert resolved.notices == ()
    return resolved.dataset


@pytest.fixture(scope="module")
def ml_1m(tmp_path_factory):
    return load("ml-1m", tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def ml_100k(tmp_path_factory):
    return load("ml-100k", tmp_path_factory.mktemp("state"))


def item_of(dataset, item_id):
    row = dataset.item_ids.tolist().index(item_id)
    return dataset.titles[row], dataset.genres[row]


@needs_ml_1m
def test_ml_1m_has_the_published_sizes(ml_1m):
    assert (ml_1m.n_users, ml_1m.n_items, ml_1m.n_ratings) == (6_040, 3_883, 1_000_209)
    assert ml_1m.rating_range == (1.0, 5.0)
    assert len(np.unique(ml_1m.item_index)) == 3_706


@needs_ml_1m
def test_ml_1m_has_177_items_without_ratings(ml_1m):
    # 3,883 - 3,706
    assert (np.bincount(ml_1m.item_index, minlength=ml_1m.n_items) == 0).sum() == 177


@needs_ml_1m
def test_ml_1m_titles_keep_colons_accents_and_all_genres(ml_1m):
    assert item_of(ml_1m, "260") == (
        "Star Wars: Episode IV - A New Hope (1977)",
        "Action|Adventure|Fantasy|Sci-Fi",
    )
    assert item_of(ml_1m, "73")[0] == "Misérables, Les (1995)"


@needs_ml_1m
def test_ml_1m_has_no_phantom_items(ml_1m):
    assert ml_1m.item_ids[-1] == "3952"
    assert n_item_rows(ml_1m, Protocol(embedding_rows="max_id")) == 3_952
    assert n_item_rows(ml_1m, Protocol()) == 3_883


@needs_ml_1m
def test_ml_1m_splits_as_in_the_reference_run(ml_1m):
    split = split_ratings(ml_1m, Protocol(validation_fraction=0.1))
    assert (len(split.train), len(split.validation)) == (900_188, 100_021)


@needs_ml_1m
def test_ml_1m_is_read_in_seconds(ml_1m, tmp_path):
    started = time.process_time()
    load("ml-1m", tmp_path)
    # Processor time: about 0.4 s for all; pandas' Python engine takes 3 s for the parsing alone.
    assert time.process_time() - started < 1.5


@needs_ml_100k
def test_ml_100k_has_the_published_sizes(ml_100k):
    assert (ml_100k.n_users, ml_100k.n_items, ml_100k.n_ratings) == (943, 1_682, 100_000)


@needs_ml_100k
def test_ml_100k_titles_and_genres_are_read(ml_100k):
    assert item_of(ml_100k, "1")[0] == "Toy Story (1995)"
    assert item_of(ml_100k, "1")[1] == "Animation|Children's|Comedy"
    assert item_of(ml_100k, "267") == ("unknown", "")
