"""Who is repeated, with which seeds, and that nothing is asked for twice; values are written by hand."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

from scheduler.sweep.repeats import configurations_of, repeat
from scheduler.sweep.sections import Repeats
from scheduler.sweep.spec import SweepSpec
from shared.domain.families.ease import Ease
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.store import GrowingSweep, Sweep, Trial
from tests.factories import DEFAULT_SEED, make_config

NDCG = Protocol(objective="ndcg@20")
FIRST, SECOND, THIRD = (make_config(merge) for merge in ("concatenate", "dot", "average"))
_ids = count(1)


def trial(config, value=None, status="succeeded", asked_by="file", **facts):
    return Trial(
        trial_id=next(_ids),
        sweep_id=1,
        label=config.label,
        config=config,
        config_hash=config.config_hash,
        status=status,
        attempt=1,
        attempts_allowed=3,
        worker=None,
        epoch=None,
        error_reason=None,
        error_message=None,
        queued_at=None,
        started_at=None,
        finished_at=None,
        asked_by=asked_by,
        **{"objective": value, "val_rmse": None, **facts},
    )


def look(trials, seeds=3, of_best=1, protocol=NDCG):
    spec = SweepSpec("s", (), {}, protocol, {}, repeats=Repeats(seeds=seeds, of_best=of_best))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    sweep = Sweep(
        1, "s", 1, "d", "f", is_synthetic=True, protocol=protocol, code_version="1", created_at=now, spec={}
    )
    return repeat(spec, GrowingSweep(sweep, tuple(trials), ()))


def labels(step):
    return [config.label for config in step.configs]


def seed(config, number):
    return make_config(config.architecture.merge, seed=number)


def test_nothing_is_asked_for_where_the_file_has_no_repeats():
    step = repeat(SweepSpec("s", (), {}, NDCG, {}), GrowingSweep(None, (trial(FIRST, 0.1),), ()))
    assert (step.configs, step.is_over) == ((), True)


@pytest.mark.parametrize("status", ["queued", "running"])
def test_it_waits_until_every_trial_of_the_file_has_ended(status):
    step = look([trial(FIRST, 0.3), trial(SECOND, status=status)])
    assert (step.configs, step.is_over) == ((), False)


@pytest.mark.parametrize("status", ["failed", "stopped", "cancelled"])
def test_it_does_not_wait_for_what_has_ended_without_a_result(status):
    assert len(look([trial(FIRST, 0.3), trial(SECOND, status=status)]).configs) == 2


def test_the_best_get_the_next_seeds():
    step = look([trial(FIRST, 0.1), trial(SECOND, 0.3), trial(THIRD, 0.2)], of_best=2)
    assert [one.random_seed for one in step.configs] == [DEFAULT_SEED + 1, DEFAULT_SEED + 2] * 2
    assert step.configs[0] == seed(SECOND, DEFAULT_SEED + 1)
    assert step.configs[2] == seed(THIRD, DEFAULT_SEED + 1)
    assert not step.is_over


def test_less_is_better_for_the_rmse_which_is_that_of_the_trial():
    step = look([trial(FIRST, 0.5, val_rmse=0.9), trial(SECOND, 0.1, val_rmse=1.1)], protocol=Protocol())
    assert step.configs[0] == seed(FIRST, DEFAULT_SEED + 1)


def test_of_equal_ones_the_first_trial_decides():
    assert look([trial(SECOND, 0.2), trial(FIRST, 0.2)]).configs[0].architecture == SECOND.architecture


def test_all_are_repeated_but_what_nothing_is_random_in():
    trials = [trial(FIRST, 0.1), trial(TrialConfig(Ease()), 0.4), trial(TrialConfig(ItemPopularity()), 0.05)]
    step = look([*trials, trial(TrialConfig(WeightedAls(random_seed=9)), 0.2)], seeds=2, of_best="all")
    assert [one.random_seed for one in step.configs] == [10, DEFAULT_SEED + 1]
    assert step.configs[0] == TrialConfig(WeightedAls(random_seed=10))


def test_seeds_that_it_has_are_skipped_and_count():
    trials = [trial(seed(FIRST, 0), 0.1), trial(seed(FIRST, 2), 0.2)]
    assert [one.random_seed for one in look(trials, seeds=4).configs] == [1, 3]


def test_a_second_look_asks_for_nothing_more_and_waits():
    trials = [trial(FIRST, 0.3), trial(SECOND, 0.2)]
    asked = [trial(one, status="queued", asked_by="repeats") for one in look(trials).configs]
    step = look([*trials, *asked])
    assert (step.configs, step.is_over) == ((), False)


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_it_is_over_when_its_trials_have_ended(status):
    trials = [trial(FIRST, 0.3)]
    asked = [trial(one, 0.1, status=status, asked_by="repeats") for one in look(trials).configs]
    step = look([*trials, *asked])
    assert (step.configs, step.is_over) == ((), True)


def test_what_a_repeat_found_changes_not_who_is_repeated():
    trials = [trial(FIRST, 0.3), trial(SECOND, 0.2)]
    # The mean of the first is below the second by now.
    asked = [trial(one, 0.01, asked_by="repeats") for one in look(trials).configs]
    assert look([*trials, *asked]).configs == ()


def test_more_seeds_add_only_what_is_new():
    trials = [trial(FIRST, 0.3), trial(SECOND, 0.2)]
    asked = [trial(one, 0.1, asked_by="repeats") for one in look(trials).configs]
    assert [one.random_seed for one in look([*trials, *asked], seeds=5).configs] == [
        DEFAULT_SEED + 3,
        DEFAULT_SEED + 4,
    ]
    assert look([*trials, *asked], seeds=2).configs == ()


def test_several_seeds_of_the_file_are_one_configuration_chosen_by_their_mean():
    # 0.5 and 0.1 have the mean 0.3, below 0.35.
    trials = [trial(seed(FIRST, 0), 0.5), trial(seed(FIRST, 1), 0.1), trial(seed(SECOND, 0), 0.35)]
    assert {one.architecture.merge for one in look(trials).configs} == {"dot"}
    assert [one.value for one in configurations_of(trials, NDCG)] == [pytest.approx(0.3), 0.35]


def test_a_configuration_without_a_result_is_not_repeated():
    trials = [trial(FIRST, status="failed"), trial(SECOND, None), trial(THIRD, float("nan"))]
    step = look(trials, of_best="all")
    assert (step.configs, step.is_over) == ((), True)


def test_a_stopped_seed_counts_for_none():
    trials = [trial(seed(FIRST, 0), 0.3), trial(seed(FIRST, 1), 0.1, status="stopped")]
    assert [one.random_seed for one in look(trials, seeds=2).configs] == [2]


def test_a_search_asks_like_a_file():
    assert len(look([trial(FIRST, 0.3, asked_by="search")]).configs) == 2


def test_a_blend_is_not_repeated():
    blend = replace(trial(SECOND, 0.9), asked_by="blends")
    assert {one.architecture.merge for one in look([trial(FIRST, 0.3), blend]).configs} == {"concatenate"}
