"""The views of a trial, a user, an item and the data: pure, from records made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scheduler.page.application import live_link
from scheduler.page.files.ratings import OwnRating, OwnRatings, Place, place_of
from scheduler.page.files.similar import Similar, similar_items
from scheduler.page.lists import lists_of, marks_of
from scheduler.page.rendering import render
from scheduler.page.trial.settings import settings_of
from scheduler.page.views import user as user_view
from scheduler.page.views.data import steps
from scheduler.page.views.item import listings_of
from scheduler.page.views.trial import metrics_of
from scheduler.page.words import NOTHING
from shared.domain.families.weighted_als import WeightedAls
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.store.page.item import ListedAt
from shared.store.page.lists import ListedTrial
from shared.store.page.user import Hit, Rated, Recommended, UserRecords, UserResult
from tests.factories import make_config
from tests.page_samples import HOSTILE_TITLE

TRIAL = ListedTrial(
    trial_id=1,
    sweep_id=1,
    sweep_name="lists",
    protocol=Protocol(k=4).canonical,
    dataset_id=1,
    dataset_name="sample",
    is_synthetic=True,
    fingerprint="0" * 32,
    n_ratings=10,
    n_forgotten=0,
    label="one",
    family="tower",
    is_baseline=False,
    is_refit=False,
    has_lists=True,
    scores_are_ratings=True,
    model_url=None,
    log_url=None,
    place=1,
    is_served=True,
)
OTHER = replace(TRIAL, trial_id=2, label="two", family="ease", scores_are_ratings=False, is_served=False)


def line(trial_id: int, rank: int, item_id: str, score: float = 1.0, title: str = "") -> Recommended:
    return Recommended(trial_id, rank, item_id, title, ("Drama",), 3, score)


# Trial 1 recommends a, b and c, trial 2 recommends c, d and a: a and c are in two lists, b and d in one.
LISTS = (
    *(line(1, 1, "a", 4.5), line(1, 2, "b", 4.0), line(1, 3, "c", 3.5)),
    *(line(2, 1, "c", 0.9), line(2, 2, "d", 0.8), line(2, 3, "a", 0.7)),
)
RECORDS = UserRecords("u", (TRIAL, OTHER), LISTS)


def test_agreement_is_in_how_many_of_the_lists_shown_an_item_is() -> None:
    lists = lists_of(RECORDS, OwnRatings())
    assert [[one.n_lists for one in of_trial.lines] for of_trial in lists] == [[2, 1, 2], [2, 1, 2]]
    agreed = user_view.agreed_of(lists)
    assert [(one.item_id, n) for one, n in agreed] == [("a", 2), ("c", 2)]


# k = 4: precision 0.5 means two hits; recall 0.4 means that they are two of five.
RESULT = UserResult(1, "test", 7, 5, 1.0, 0.25, 0.4, 0.5, are_hits_kept=True)
HELD_OUT = OwnRatings(
    (
        *(OwnRating("w", 5.0, "test"), OwnRating("x", 5.0, "training"), OwnRating("y", 4.0, "test")),
        *(OwnRating("z", 3.0, "test"), OwnRating("v", 5.0, "validation")),
    ),
    is_known=True,
)


def with_results(*results: UserResult, **changes: Any) -> UserRecords:
    hits = (Hit(1, "test", 2, "w", "W"), Hit(1, "test", 3, "gone", "G"), Hit(2, "test", 4, "w", "W"))
    return replace(RECORDS, results=results, **{"hits": hits, **changes})


def shown_marks(records: UserRecords, own: OwnRatings = HELD_OUT) -> dict[str, list[str]]:
    lists = lists_of(records, own)
    return {
        one.item_id: [mark.shown for mark in marks_of(one.item_id, one.rating, one.part, lists)]
        for one in own.ratings
    }


def test_a_hit_has_its_part_and_rank_and_the_rating_where_it_is_known() -> None:
    first, second = lists_of(with_results(RESULT), HELD_OUT)
    assert [(one.title, one.part, one.rank, one.rating) for one in first.hits] == [
        ("W", "test", 2, 5.0),
        ("G", "test", 3, None),
    ]
    assert [one.rank for one in second.hits] == [4]
    # Where the prepared ratings cannot be read, the database knows those that are highest.
    records = with_results(RESULT, rated=(Rated(1, 1, "gone", "G", (), 3, 4.5),))
    assert [one.rating for one in lists_of(records, OwnRatings())[0].hits] == [None, 4.5]


def test_what_was_held_out_is_marked_by_the_lists_that_found_it() -> None:
    results = (RESULT, replace(RESULT, split="validation"), replace(RESULT, trial_id=2))
    assert shown_marks(with_results(*results)) == {
        "w": ["2", "4"],
        # Nobody could have found what is in the training part.
        "x": [],
        "y": [NOTHING, NOTHING],
        # Below the threshold of relevance, 4.
        "z": ["", ""],
        # There is no result of the second on validation.
        "v": [NOTHING, "?"],
    }


def test_a_refit_and_another_split_find_nothing_that_could_be_compared() -> None:
    refit, other = (
        replace(OTHER, is_refit=True),
        replace(OTHER, protocol=Protocol(k=4, split_seed=1).canonical),
    )
    results = (RESULT, replace(RESULT, trial_id=2))
    hits = (Hit(1, "test", 2, "w", "W"),)
    for trial, shown in ((refit, ""), (other, "?"), (replace(OTHER, fingerprint="1" * 32), "?")):
        marks = shown_marks(with_results(*results, trials=(TRIAL, trial), hits=hits))
        assert (marks["w"], marks["y"]) == (["2", shown], [NOTHING, shown])


def test_which_items_an_older_version_found_is_not_known() -> None:
    records = with_results(replace(RESULT, are_hits_kept=False), replace(RESULT, trial_id=2), hits=())
    first, second = lists_of(records, HELD_OUT)
    assert (first.lacks_hits, second.lacks_hits) == (True, False)
    # How many is known.
    assert first.found == second.found
    assert shown_marks(records)["w"] == ["?", NOTHING]


def test_without_the_prepared_ratings_a_hit_tells_the_part_to_the_other_lists() -> None:
    own = OwnRatings((OwnRating("w", 5.0, None), OwnRating("y", 5.0, None)), is_known=True)
    records = with_results(RESULT, replace(RESULT, trial_id=2), hits=(Hit(2, "test", 4, "w", "W"),))
    assert shown_marks(records, own) == {"w": [NOTHING, "4"], "y": []}


def test_how_many_were_found_follows_from_precision_and_recall() -> None:
    nothing = replace(RESULT, split="validation", ndcg=None, recall=None, precision=None, are_hits_kept=False)
    (first, _) = lists_of(with_results(nothing, RESULT), OwnRatings())
    assert first.found == (
        "validation: no item rated 4 or more was held out",
        "test: 2 of 5 held out items rated 4 or more found in the first 4, ndcg 0.2500",
    )
    assert not first.lacks_hits


def test_found_items_come_first_in_what_the_user_rated() -> None:
    own = OwnRatings((OwnRating("x", 5.0, "training"), OwnRating("w", 4.0, "test")), is_known=True)
    shown = user_view.Shown(with_results(RESULT), own)
    assert [one.item_id for one in user_view.build(shown)["rated"]] == ["w", "x"]


def test_titles_with_markup_are_escaped_and_a_report_leaves_out_views_it_has_not() -> None:
    records = replace(RECORDS, lists=(line(1, 1, "<b>", title=HOSTILE_TITLE),), user_id="<i>")
    context = {**user_view.build(user_view.Shown(records, OwnRatings())), "is_report": True}
    page = render("user.html", live_link, context)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<i>" not in page
    assert "/item?item_id=%3Cb%3E" in page
    in_report = render("user.html", lambda view, **_: "", context)
    assert "href" not in in_report


def test_settings_that_differ_from_their_defaults_come_first() -> None:
    settings = settings_of(TrialConfig(WeightedAls(size=7, l2=0.5)).canonical)
    assert [(one.name, one.value, one.default) for one in settings if one.is_chosen] == [
        ("size", "7", "128"),
        ("l2", "0.5", "0.01"),
    ]
    assert [one.is_chosen for one in settings] == [True, True, *(False for _ in settings[2:])]


def test_settings_of_training_differ_from_the_defaults_of_the_family() -> None:
    chosen = {one.name for one in settings_of(make_config(seed=77).canonical) if one.is_chosen}
    assert "random seed" in chosen
    assert "max epochs" not in chosen


def test_settings_of_another_version_are_shown_as_they_are_stored() -> None:
    settings = settings_of({"family": "of tomorrow", "architecture": {"new_one": [1, 2]}})
    assert [(one.name, one.value, one.is_chosen) for one in settings] == [("new one", "[1, 2]", False)]


def test_metrics_of_all_parts_stand_in_one_line() -> None:
    parts, lines = metrics_of({("test", "ndcg@20"): 0.2, ("validation", "rmse"): 0.9, ("test", "rmse"): 1.0})
    assert parts == ["validation", "test"]
    assert lines == [("rmse", ["0.9000", "1.0000"]), ("ndcg@20", [NOTHING, "0.2000"])]


def test_an_item_is_counted_over_the_users_looked_through() -> None:
    # Ten users: twice first, once third. Mean rank (1 + 1 + 3) / 3.
    listed = [ListedAt(1, 1, 10, 2, ["u", "v"]), ListedAt(1, 2, 10, 0, None), ListedAt(1, 3, 9, 1, ["w"])]
    found = listings_of(TRIAL, listed)
    assert (found.n_users, found.n_lists, found.best_rank) == (10, 3, 1)
    assert found.mean_rank == pytest.approx(5 / 3)
    assert found.users == (("u", 1), ("v", 1), ("w", 3))


def test_an_item_in_no_list_has_no_rank() -> None:
    found = listings_of(TRIAL, [])
    assert (found.n_users, found.n_lists, found.best_rank, found.mean_rank) == (0, 0, None, None)


def test_steps_are_powers_of_two() -> None:
    assert [steps(step) for step in (0, 1, 2, 3, 11)] == ["0", "1", "2 to 3", "4 to 7", "1,024 to 2,047"]


def test_the_folder_of_the_ratings_is_that_of_the_logs() -> None:
    place = place_of("file:///a/sweep-b/id/sweep-7/label/attempt-1/trial.log", "f" * 32, 0)
    assert place == Place("file:///a/sweep-b/id", "f" * 32, 0)
    assert place_of("file:///other/trial.log", "f" * 32, 0) is None
    assert place_of(None, "f" * 32, 0) is None


def save(folder: Path, **arrays: np.ndarray) -> str:
    path = folder / "model.npz"
    np.savez(path, **arrays)
    return path.as_uri()


def test_similar_by_vectors_is_the_largest_cosine_and_never_the_item_itself(tmp_path: Path) -> None:
    # To (1, 0): (2, 0) has cosine 1, (1, 1) has 1 / √2, (0, 1) has 0 and (-1, 0) has -1.
    url = save(tmp_path, item_vectors=np.array([[1.0, 0], [0, 1], [1, 1], [-1, 0], [2, 0], [0, 0]]))
    found = similar_items(url, 0)
    assert [place for place, _ in found.places] == [4, 2]
    assert [value for _, value in found.places] == pytest.approx([1, 2**-0.5])


def test_similar_by_a_matrix_goes_by_the_items_that_it_has(tmp_path: Path) -> None:
    url = save(tmp_path, items=np.array([2, 5, 9]), item_item=np.array([[0, 0.1, 0.3], [0, 0, 0], [0, 0, 0]]))
    assert similar_items(url, 2).places == ((9, 0.3), (5, 0.1))
    assert "nobody has rated it" in similar_items(url, 3).problem


def test_similar_by_neighbours_reads_those_of_the_item(tmp_path: Path) -> None:
    url = save(
        tmp_path,
        counts=np.array([1, 2, 0]),
        neighbours=np.array([2, 0, 2]),
        similarities=np.array([0.9, 0.1, 0.2]),
    )
    assert similar_items(url, 1).places == ((2, 0.2), (0, 0.1))
    assert similar_items(url, 2).places == ()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no archive"])
def test_a_model_that_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    assert "cannot be read" in similar_items((tmp_path / "model.npz").as_uri(), 0).problem


def test_a_model_is_never_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", item_vectors=np.array([{"a": 1}], dtype=object))
    found = similar_items((tmp_path / "model.npz").as_uri(), 0)
    assert isinstance(found, Similar)
    assert "cannot be read" in found.problem


def test_models_of_other_kinds_are_told(tmp_path: Path) -> None:
    assert "no model" in similar_items(None, 0).problem
    assert "Keras" in similar_items("file:///m/model.keras", 0).problem
    assert "gone" in similar_items((tmp_path / "gone.npz").as_uri(), 0).problem
    assert "no vectors" in similar_items(save(tmp_path, support=np.arange(3)), 0).problem
