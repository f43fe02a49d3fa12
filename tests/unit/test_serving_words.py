"""What is said of the trial that is served: which it is, what it learned from, whether its lists are poor."""

from dataclasses import replace

from scheduler.commands.serving import explain_served, warn_of_lists
from shared.store import ServedTrial

TRIAL = ServedTrial(
    trial_id=3,
    label="ease",
    is_refit=False,
    chosen_label="ease",
    sweep_id=2,
    sweep_name="mine",
    is_promoted=False,
    fingerprint="f" * 32,
    n_ratings=100_000,
    k=20,
    ndcg=0.2,
    popularity_ndcg=0.1,
)
REFIT = replace(TRIAL, label="ease_refit", is_refit=True, is_promoted=True)


def test_the_leader_says_how_it_came_to_be_served_and_how_to_decide():
    words = explain_served(TRIAL, "ml-1m")
    assert words == (
        "best_recommendations serves ml-1m with ease of sweep 2 mine: it leads the newest sweep that has "
        f"ended. It learned from the training part of the 100,000 ratings of version {'f' * 32} of ml-1m. To "
        "serve it trained on all ratings, or another: make promote TRIAL=label"
    )


def test_a_refit_names_its_chosen_trial_and_what_it_learned_from():
    assert explain_served(REFIT, "ml-1m") == (
        "best_recommendations serves ml-1m with ease_refit of sweep 2 mine, the refit of ease: it was "
        f"promoted. It learned from all 100,000 ratings of version {'f' * 32} of ml-1m."
    )


def test_lists_as_good_as_item_popularity_are_no_reason_to_warn():
    assert warn_of_lists(TRIAL, "ml-1m") is None
    assert warn_of_lists(replace(TRIAL, ndcg=0.1), "ml-1m") is None
    assert warn_of_lists(replace(TRIAL, ndcg=None), "ml-1m") is None
    assert warn_of_lists(replace(TRIAL, popularity_ndcg=None), "ml-1m") is None


def test_poor_lists_are_told_with_both_numbers_and_the_sweep_that_finds_better_ones():
    words = warn_of_lists(replace(TRIAL, ndcg=0.037, popularity_ndcg=0.129), "ml-1m")
    assert words is not None
    assert words.startswith(
        "ndcg@20 0.0370 against 0.1290 of item popularity: the lists that are served are worse"
    )
    assert words.endswith("make sweep SWEEP=lists DATASET=ml-1m")


def test_poor_lists_of_the_sweep_for_lists_are_replaced_by_item_popularity():
    words = warn_of_lists(replace(TRIAL, ndcg=0.037, sweep_name="lists"), "ml-1m")
    assert words is not None
    assert words.endswith("make promote TRIAL=baseline_item_popularity SWEEP=lists")
