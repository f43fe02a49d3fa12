"""What `make data` says of a data set, counted by hand, and how it looks."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from scheduler.commands import data as data_command
from scheduler.commands import named_data
from shared.console import PlainConsole
from shared.datasets import ResolvedDataset
from shared.datasets.description import describe, split_sizes
from shared.domain.protocol import Protocol
from tests.unit.ranking_cases import make_dataset

# Three users and four items, the last of them never rated.
PAIRS = np.array([(0, 0), (0, 1), (0, 2), (1, 0), (2, 0)])
DATASET = replace(
    make_dataset(3, 4, PAIRS, [5.0, 3.0, 3.5, 5.0, 1.0]),
    timestamps=np.array([86_400, 86_401, 86_402, 86_403, 3 * 86_400]),
    titles=np.array(["One", "", "Three", "Four"]),
)


def test_counts_and_quantiles_by_hand():
    found = describe(DATASET)

    assert (found.n_users, found.n_items, found.n_rated_items, found.n_ratings) == (3, 4, 3, 5)
    assert found.density == 5 / 12
    assert found.histogram == (("1", 1), ("3", 1), ("3.5", 1), ("5", 2))
    # Users have 3, 1 and 1 ratings; rated items 3, 1 and 1.
    assert found.activity == found.popularity == (1, 1, 1, 1, 3, 3, 3)
    assert (found.first, found.last) == (datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 1, 4, tzinfo=UTC))
    assert found.n_untitled == 1


def test_many_different_ratings_are_counted_in_ranges():
    ratings = np.linspace(-10, 10, 100)
    pairs = np.column_stack([np.arange(100), np.zeros(100, int)])
    found = describe(make_dataset(100, 1, pairs, ratings))

    assert found.histogram[0] == ("-10 to -8", 10)
    assert found.histogram[-1] == ("8 to 10", 10)
    assert sum(n for _, n in found.histogram) == 100


def test_a_source_without_times_has_none():
    assert describe(replace(DATASET, timestamps=np.zeros(5, np.int64))).first is None


def test_splits_are_counted_and_one_that_cannot_be_had_says_why():
    random, temporal, leave_last_out = split_sizes(
        replace(DATASET, timestamps=np.zeros(5, np.int64)), Protocol(validation_fraction=0.4)
    )

    assert (random.n_train, random.n_validation, random.n_test) == (3, 2, 0)
    assert "needs the times of ratings" in temporal.problem
    # The user with three ratings gives the last one away, of item 2, which nobody else rated.
    counts = (leave_last_out.n_train, leave_last_out.n_validation)
    assert counts == (4, 1)
    assert (leave_last_out.n_cold_users, leave_last_out.n_cold_items) == (0, 1)


@pytest.fixture
def run(monkeypatch, capsys):
    def show(dataset, *notices, **environment):
        monkeypatch.setattr(
            named_data, "resolve_dataset", lambda *_: ResolvedDataset(dataset, dataset.name, notices)
        )
        for module in (data_command, named_data):
            monkeypatch.setattr(module, "console", PlainConsole(width=80))
        done = CliRunner().invoke(data_command.data, env=environment, catch_exceptions=False)
        assert done.exit_code == 0
        return done.output + capsys.readouterr().out

    return show


def test_the_command_shows_facts_histogram_splits_and_costs(run):
    shown = run(DATASET, "not the published one", SWEEP="lists", WORKERS="2")

    assert "not the published one" in shown
    assert "5 ratings from 1970-01-02 to 1970-01-04; 41.67% of all pairs have one" in shown
    assert "4 items, 1 without a title, without genres; 1 have none" in shown
    assert "40.0%   ########################################" in shown
    # Ten percent of five ratings for a test: leave_last_out would have one, random has none.
    assert "leave_last_out" in shown
    assert "A sweep lists of 24 trials with 2 task processes: about 1 min" in shown
    assert "Its lists: 1,440 rows" in shown
    assert "for each trial that keeps numbers for every pair of items, which are 12 of them" in shown
    assert max(map(len, shown.splitlines())) <= 200


def test_without_an_ease_in_the_sweep_nothing_is_said_of_memory(run):
    assert "Memory" not in run(DATASET, SWEEP="reference", WORKERS="1")


def test_views_have_observations_and_no_histogram(run):
    views = replace(DATASET, ratings=np.ones(5, np.float32), is_implicit=True)
    shown = run(views, SWEEP="reference", WORKERS="2")

    assert "5 observations from 1970-01-02" in shown
    assert "####" not in shown
    # The reference sweep predicts ratings.
    assert "No cost: sweep reference: " in shown
