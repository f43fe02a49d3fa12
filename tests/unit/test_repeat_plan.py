"""How many repeats a plan promises, and what is said at the end."""

from scheduler.sweep.repeat_plan import dearest_repeats, end_lines, most_repeats, plan_lines, repeats_asked
from scheduler.sweep.sections import Repeats
from scheduler.sweep.spec import SweepSpec
from shared.domain.families.ease import Ease
from shared.domain.families.item_popularity import ItemPopularity
from shared.domain.trial import TrialConfig
from tests.factories import DEFAULT_SEED, make_config
from tests.unit.test_repeats import FIRST, NDCG, SECOND, THIRD, trial

EASE, POPULARITY = TrialConfig(Ease()), TrialConfig(ItemPopularity())
FURTHER = [make_config(FIRST.architecture.merge, seed=DEFAULT_SEED + one) for one in (1, 2)]
CONFIGS = [FIRST, SECOND, THIRD, EASE, POPULARITY]


def spec(seeds=3, of_best=2):
    return SweepSpec("s", (), {}, NDCG, {}, repeats=Repeats(seeds=seeds, of_best=of_best))


NONE = SweepSpec("s", (), {}, NDCG, {})


def test_before_anything_ran_the_most_is_that_of_the_best():
    assert most_repeats(spec(), CONFIGS, []) == 2 * 2
    assert most_repeats(spec(of_best="all"), CONFIGS, []) == 3 * 2
    assert most_repeats(spec(of_best=9), CONFIGS, []) == 3 * 2
    assert most_repeats(NONE, CONFIGS, []) == 0


def test_trials_that_a_search_has_still_to_choose_may_be_repeated():
    assert most_repeats(spec(of_best=9), [POPULARITY], [], n_to_choose=4) == 4 * 2


def test_seeds_of_the_file_count():
    assert most_repeats(spec(of_best=1), [FIRST, FURTHER[0]], []) == 1


def test_when_all_is_done_it_is_exactly_what_is_missing():
    stored = [trial(FIRST, 0.3), trial(SECOND, 0.2), trial(THIRD, 0.1)]
    asked = [trial(one, 0.1, asked_by="repeats") for one in FURTHER]
    assert most_repeats(spec(), [FIRST, SECOND, THIRD], [*stored, *asked]) == 2
    assert most_repeats(spec(of_best=1), [FIRST, SECOND, THIRD], [*stored, *asked]) == 0


def test_the_cost_is_that_of_the_most_expensive():
    large = make_config(embedding_size=512)
    assert dearest_repeats(Repeats(seeds=3, of_best=1), [FIRST, large, EASE]) == [large, large]
    assert dearest_repeats(None, [FIRST]) == []


def test_stored_repeats_are_asked_for_as_long_as_the_file_says_so():
    stored = [trial(FIRST, 0.3), trial(FURTHER[0], status="failed", asked_by="repeats")]
    assert repeats_asked(spec(), stored) == [FURTHER[0]]
    assert repeats_asked(NONE, stored) == []


def test_the_plan_says_what_follows():
    assert plan_lines(spec(), 4) == [
        "Repeats: when these have ended, the best 2 configurations are trained with further random seeds "
        "until each has 3: at most 4 trials more"
    ]
    assert "the best configuration is trained" in plan_lines(spec(of_best=1), 2)[0]
    assert "every configuration is trained" in plan_lines(spec(of_best="all"), 6)[0]
    assert plan_lines(NONE, 0) == []


def test_the_end_says_who_was_repeated_and_who_never_is():
    stored = [trial(FIRST, 0.3), trial(SECOND, 0.2), trial(EASE, 0.4), trial(POPULARITY, 0.1)]
    asked = [trial(one, 0.1, asked_by="repeats") for one in FURTHER]
    assert end_lines(spec(of_best=1), [*stored, *asked]) == [
        f"Repeated with 3 random seeds each: {FIRST.label}. They rank by their means, which is what to "
        "expect of them; a configuration with a single seed ranks behind them",
        f"Not repeated, because nothing in them is random: {EASE.label} and the baselines",
    ]
    assert end_lines(NONE, stored) == []


def test_seeds_that_failed_are_not_counted():
    stored = [trial(FIRST, 0.3), trial(SECOND, 0.2)]
    asked = [
        trial(FURTHER[0], 0.1, asked_by="repeats"),
        trial(FURTHER[1], status="failed", asked_by="repeats"),
    ]
    assert "Repeated with 1 to 2 random seeds each" in end_lines(spec(), [*stored, *asked])[0]
