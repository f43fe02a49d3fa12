"""Every stored query runs, and answers its question on numbers worked out by hand."""

import re
from decimal import Decimal

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from scheduler.commands import questions
from shared.domain.families.ease import Ease
from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.protocol import Protocol
from shared.domain.trial import TrialConfig
from shared.errors import SpecError
from shared.store import (
    Proposal,
    Sweep,
    begin_growing,
    claim_trial,
    fail_trial,
    growing_sweep,
    list_queries,
    release_trial,
    run_query,
)
from shared.store.database import SQL_FOLDER
from tests.factories import claim_label, make_config, make_dataset, make_result, store_result, store_sweep

DATASET = make_dataset()
BIAS = TrialConfig(UserItemBias())
CONFIGS = [make_config("concatenate"), make_config("dot"), make_config("dot", embedding_size=8), BIAS]


def make_ease(dropout: float) -> TrialConfig:
    return TrialConfig(Ease(dropout=dropout))


@pytest.fixture
def sweep(engine: Engine) -> Sweep:
    """Two dot trials with equal lists, a concatenate trial with others, and a baseline."""
    sweep = store_sweep(engine, DATASET, CONFIGS)
    for label, val_rmse, seed in (
        ("concatenate_4_2_1", 0.9, 1),
        ("dot_4_2_1", 1.0, 0),
        ("dot_8_2_1", 1.2, 0),
        (BIAS.label, 1.1, 1),
    ):
        n_epochs = 0 if label == BIAS.label else 3
        result = make_result(DATASET, val_rmse=val_rmse, seed=seed, n_epochs=n_epochs)
        store_result(engine, sweep.sweep_id, label, DATASET, result)
    return sweep


def answers(engine: Engine, name: str, **parameters: str | int) -> list[dict[str, object]]:
    columns, rows = run_query(engine, name, parameters)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize("name", [query.name for query in list_queries()])
def test_every_query_is_shown_with_its_defaults(engine, sweep, name, monkeypatch):
    monkeypatch.setattr(questions, "open_store", lambda: (engine, None))
    shown = CliRunner().invoke(questions.query, ["--name", name], catch_exceptions=False)
    assert shown.exit_code == 0
    assert f"{len(run_query(engine, name)[1])} rows\n" in shown.output


@pytest.mark.parametrize("name", [query.name for query in list_queries()])
def test_every_query_runs_on_an_empty_database(engine, name):
    assert run_query(engine, name)[1] == []


def test_every_query_has_a_question():
    assert {query.question[-1] for query in list_queries()} == {"?"}


def test_parameters_and_their_defaults_are_listed():
    (query,) = [query for query in list_queries() if query.name == "user_across_trials"]
    assert query.parameters == {"user_id": "1", "sweep_id": None, "k": "20"}


def test_an_unknown_query_or_parameter_is_refused_with_the_known_ones(engine):
    with pytest.raises(SpecError, match="top_of_user"):
        run_query(engine, "../views/leaderboard")
    with pytest.raises(SpecError, match="has the parameters user_id, dataset, k; got user"):
        run_query(engine, "top_of_user", {"user": "1"})


def test_a_value_of_the_wrong_kind_is_one_line(engine):
    for value in ("many", "-1", "1.5", "2147483648", "9" * 5000):
        with pytest.raises(SpecError, match="k of query top_of_user must be a whole number from 0") as raised:
            run_query(engine, "top_of_user", {"k": value})
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 200
    with pytest.raises(SpecError, match="user_id of query top_of_user must be a text without NUL"):
        run_query(engine, "top_of_user", {"user_id": "a\0b"})


@pytest.mark.parametrize("name", [query.name for query in list_queries()])
def test_every_parameter_has_a_type_that_is_checked(name):
    statement = (SQL_FOLDER / "queries" / f"{name}.sql").read_text("utf-8")
    (query,) = [query for query in list_queries() if query.name == name]
    for parameter in query.parameters:
        uses = set(re.findall(rf":{parameter}\b(?! as (?:integer|text)\))", statement))
        assert f"cast(:{parameter} as " in statement
        assert not uses


def test_parameters_cannot_inject_sql(engine, sweep):
    assert answers(engine, "top_of_user", user_id="1' or true --") == []


def test_top_of_user_comes_from_the_best_trial(engine, sweep):
    rows = answers(engine, "top_of_user", user_id="2", k=1)
    assert [(row["label"], row["rank"], row["score"]) for row in rows] == [("concatenate_4_2_1", 1, 5.0)]


def test_user_across_merges_has_a_column_for_each(engine, sweep):
    first, second = answers(engine, "user_across_merges", user_id="2")
    assert (first["rank"], second["rank"]) == (1, 2)
    assert str(first["concatenate"]).startswith("Item ")
    assert str(first["dot"]).startswith("Item ")
    assert (first["multiply"], first["average"]) == (None, None)


def test_user_across_trials_counts_agreement(engine, sweep):
    rows = answers(engine, "user_across_trials", user_id="2")
    # Two trials share one seed and two the other: an item has two places, or four where all agree.
    assert sum(int(str(row["n_trials"])) for row in rows) == 4 * 2
    assert {row["n_trials"] for row in rows} <= {2, 4}


def test_overlap_is_one_for_equal_lists(engine, sweep):
    rows = answers(engine, "overlap_between_trials")
    # Four trials make 4 · 3 / 2 pairs.
    assert len(rows) == 6
    overlap = {(row["label"], row["other_label"]): row["overlap"] for row in rows}
    assert overlap["dot_4_2_1", "dot_8_2_1"] == 1
    assert overlap["concatenate_4_2_1", BIAS.label] == 1
    assert 0 <= Decimal(str(overlap["concatenate_4_2_1", "dot_4_2_1"])) < 1


def test_coverage_is_the_share_of_the_catalogue(engine, sweep):
    rows = {row["label"]: row for row in answers(engine, "coverage_and_popularity")}
    recommended = make_result(DATASET, seed=0).recommendations.item_index
    assert rows["dot_4_2_1"]["n_items"] == len(set(recommended.tolist()))
    # The catalogue has 8 items.
    assert rows["dot_4_2_1"]["coverage"] == Decimal(len(set(recommended.tolist()))) / 8


def test_changed_users_compares_the_best_trials_of_two_sweeps(engine, sweep):
    later = store_sweep(engine, DATASET, [make_config("average")])
    store_result(engine, later.sweep_id, "average_4_2_1", DATASET, make_result(DATASET, seed=1))
    rows = answers(engine, "changed_users")
    # The earlier best trial, concatenate, has the same lists.
    assert [(row["user_id"], row["n_new"], row["n_gone"], row["n_kept"]) for row in rows] == [
        (str(user), 0, 0, 2) for user in (1, 2, 3, 4)
    ]
    assert {(row["label"], row["earlier_label"]) for row in rows} == {("average_4_2_1", "concatenate_4_2_1")}


def test_never_recommended_is_what_no_list_holds(engine, sweep):
    rows = answers(engine, "never_recommended")
    listed = set()
    for seed in (0, 1):
        listed |= set(make_result(DATASET, seed=seed).recommendations.item_index.tolist())
    assert {row["item_id"] for row in rows} == {str(10 * (row + 1)) for row in set(range(8)) - listed}


def test_axis_effects_leaves_out_what_was_not_varied(engine, sweep):
    rows = answers(engine, "axis_effects")
    effects = {(row["axis"], row["setting"]): (row["n_trials"], row["mean_value"]) for row in rows}
    # RMSE 0.9 for concatenate, 1.0 and 1.2 for dot; 0.9 and 1.0 for embedding size 4, 1.2 for 8.
    assert effects == {
        ("merge", "concatenate"): (1, Decimal("0.9000")),
        ("merge", "dot"): (2, Decimal("1.1000")),
        ("embedding_size", "4"): (2, Decimal("0.9500")),
        ("embedding_size", "8"): (1, Decimal("1.2000")),
    }


def test_axis_effects_go_by_the_objective_of_the_sweep(engine):
    configs = [make_ease(dropout=0.0), make_ease(dropout=0.5)]
    sweep = store_sweep(engine, DATASET, configs, protocol=Protocol(objective="ndcg@2", k=2))
    for config, ndcg in zip(configs, (0.2, 0.3), strict=True):
        store_result(
            engine, sweep.sweep_id, config.label, DATASET, make_result(DATASET, ndcg=ndcg, n_epochs=0)
        )
    rows = answers(engine, "axis_effects")
    assert [(row["family"], row["axis"], row["setting"], row["objective"]) for row in rows] == [
        ("ease", "dropout", "0.5", "ndcg@2"),
        ("ease", "dropout", "0.0", "ndcg@2"),
    ]
    assert rows[0]["mean_value"] > rows[1]["mean_value"]


def test_axis_importance_is_a_one_way_analysis_of_variance(engine, sweep):
    rows = answers(engine, "axis_importance")
    shares = {row["axis"]: (row["explained_share"], row["n_groups"], row["n_trials"]) for row in rows}
    # RMSE 0.9, 1.0, 1.2, mean 31/30: squares of 16, 1 and 25 in 900 parts, 42/900 in all.
    # merge leaves 1.0 and 1.2, mean 1.1: 0.02 = 18/900. embedding_size leaves 0.9 and 1.0: 0.005 = 4.5/900.
    assert shares == {
        "merge": (Decimal("0.571"), 2, 3),
        "embedding_size": (Decimal("0.893"), 2, 3),
    }


def test_search_history_tells_the_best_so_far(engine):
    configs = [make_ease(dropout=share) for share in (0.1, 0.2, 0.3)]
    sweep = store_sweep(engine, DATASET, [], protocol=Protocol(objective="ndcg@2", k=2))
    begin_growing(engine, sweep.sweep_id)
    for asked in ([configs[0], configs[1]], [configs[0], configs[2]]):
        with growing_sweep(engine, sweep.sweep_id) as turn:
            n = len(turn.sweep.proposals)
            turn.add(
                "search",
                asked,
                [
                    Proposal(n + place, 0, {"dropout": config.architecture.dropout}, config.config_hash)
                    for place, config in enumerate(asked, start=1)
                ],
            )
    for config, ndcg in zip(configs[:2], (0.2, 0.1), strict=True):
        store_result(
            engine, sweep.sweep_id, config.label, DATASET, make_result(DATASET, ndcg=ndcg, n_epochs=0)
        )
    rows = answers(engine, "search_history")
    assert [(row["number"], row["label"], row["status"], row["is_repeat"]) for row in rows] == [
        (1, configs[0].label, "succeeded", False),
        (2, configs[1].label, "succeeded", False),
        (3, configs[0].label, "succeeded", True),
        (4, configs[2].label, "queued", False),
    ]
    first, second, again, waiting = rows
    assert second["value"] < first["value"] == first["best_so_far"] == second["best_so_far"]
    assert (again["value"], waiting["value"]) == (first["value"], None)
    assert waiting["best_so_far"] == first["value"]
    assert waiting["parameters"] == {"dropout": 0.3}


def test_failures_are_counted_by_reason(engine):
    sweep = store_sweep(engine, DATASET, CONFIGS)
    for label, reason in (
        ("dot_4_2_1", "not_finite_loss"),
        ("dot_8_2_1", "not_finite_loss"),
        (BIAS.label, "disk_full"),
    ):
        claim = claim_label(engine, sweep.sweep_id, label)
        fail_trial(engine, claim.trial_id, 1, reason, f"message of {label}")
    rows = answers(engine, "failures_by_reason")
    assert [(row["error_reason"], row["n_trials"], row["labels"]) for row in rows] == [
        ("not_finite_loss", 2, "dot_4_2_1, dot_8_2_1"),
        ("disk_full", 1, BIAS.label),
    ]
    assert rows[0]["newest_message"] == "message of dot_8_2_1"


def test_attempts_show_how_each_ended(engine):
    sweep = store_sweep(engine, DATASET, CONFIGS[:1])
    claim = claim_label(engine, sweep.sweep_id, "concatenate_4_2_1")
    release_trial(engine, claim.trial_id, 1, "handed_back")
    claim_trial(engine, claim.trial_id, "worker-2", 60, "test")
    rows = answers(engine, "attempts_and_ends", label="concatenate_4_2_1")
    assert [(row["attempt"], row["worker"], row["end_reason"]) for row in rows] == [
        (1, "worker-1", "handed_back"),
        (2, "worker-2", "running"),
    ]


def test_origin_leads_back_to_data_split_code_and_attempt(engine, sweep):
    (row,) = answers(engine, "origin_of_trial", label="dot_8_2_1")
    assert (row["fingerprint"], row["code_version"], row["attempt"]) == (DATASET.fingerprint, "test", 1)
    assert row["spec"] == {"sweep": "small"}
    assert row["protocol"] == sweep.protocol.canonical
    assert row["config"] == make_config("dot", embedding_size=8).canonical


def test_epochs_mark_the_best(engine, sweep):
    rows = answers(engine, "epochs_of_trial", label="dot_4_2_1")
    assert [(row["epoch"], row["is_best"]) for row in rows] == [(1, False), (2, False), (3, True)]
    # Epoch 2 has the validation loss 1 + 1/2.
    assert rows[1]["val_loss"] == Decimal("1.5000")
