"""Each check finds the fault it is for, and nothing in lists that keep the contract."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, text

from shared.datasets.splits import Split
from shared.domain.protocol import Protocol
from shared.errors import StoreError
from shared.store import Sweep, list_checks, sweep_trials, verify_recommendations
from tests.factories import (
    make_config,
    make_dataset,
    make_hits,
    make_result,
    make_user_results,
    store_result,
    store_sweep,
)

DATASET = make_dataset()
SPLIT = Split(train=np.arange(DATASET.n_ratings), validation=np.array([], np.int64))
LABEL = "concatenate_4_2_1"


@pytest.fixture
def sweep(engine: Engine) -> Sweep:
    # Support 0: items without ratings, rows 6 and 7, are candidates too.
    sweep = store_sweep(engine, DATASET, [make_config()], protocol=Protocol(k=2, min_support=0))
    # Of the four users the first has two hits, the second none, and the others nothing relevant.
    users = make_user_results(DATASET, hits=make_hits([(0, 1, 7), (0, 2, 3)]))
    of_hits = {"precision": [1, 0, np.nan, np.nan], "mrr": [1, 0, np.nan, np.nan]}
    users = replace(
        users,
        rankings=users.rankings | {name: np.array(of, np.float32) for name, of in of_hits.items()},
    )
    metrics = {f"{name}@2": float(np.nanmean(values)) for name, values in users.rankings.items()}
    metrics |= {"rmse": np.sqrt(users.squared_error.mean()), "mae": users.absolute_error.mean()}
    result = make_result(DATASET, user_results={"validation": users})
    result = replace(result, metrics={"validation": metrics})
    store_result(engine, sweep.sweep_id, LABEL, DATASET, result)
    return sweep


def found(engine: Engine, sweep: Sweep) -> dict[str, int]:
    trial_ids = [trial.trial_id for trial in sweep_trials(engine, sweep.sweep_id)]
    differences = verify_recommendations(engine, sweep.sweep_id, DATASET, SPLIT, trial_ids)
    assert {difference.label for difference in differences} <= {LABEL}
    return {difference.check: difference.n_rows for difference in differences}


def test_lists_that_keep_the_contract_have_no_differences(engine, sweep):
    assert found(engine, sweep) == {}


# User "1" rated the items "10", "20" and "30".
@pytest.mark.parametrize(
    ("fault", "checks"),
    [
        ("update recommendations set rank = rank + 10 where user_id = '1'", {"ranks": 1}),
        ("delete from recommendations where user_id = '1' and rank = 2", {"counts": 1}),
        ("delete from recommendations where user_id = '1' and rank = 1", {"counts": 1, "ranks": 1}),
        ("update recommendations set user_id = 'nobody' where user_id = '1'", {"counts": 2}),
        (
            "update recommendations set item_id = (select item_id from recommendations"
            " where user_id = '1' and rank = 1) where user_id = '1'",
            {"duplicates": 1},
        ),
        ("update recommendations set score = 9 where user_id = '1' and rank = 2", {"order": 1}),
        ("update recommendations set item_id = '10' where user_id = '1' and rank = 1", {"seen_items": 1}),
        ("update recommendations set item_id = '999' where user_id = '1' and rank = 1", {"candidates": 1}),
        (
            "update rating_predictions set rating = 1.5 where user_id = '1' and rank = 1",
            {"rating_predictions": 1},
        ),
        ("delete from rating_predictions where user_id = '1'", {"rating_predictions": 2}),
        # Of rmse, mae and a ranking: one row each that does not add up.
        (
            "update user_results set squared_error = squared_error + 1 where user_id = '1'",
            {"user_results": 1},
        ),
        (
            "update user_results set absolute_error = absolute_error + 1 where user_id = '1'",
            {"user_results": 1},
        ),
        ("update user_results set recall = recall + 1 where user_id = '1'", {"user_results": 1}),
        ("update user_results set mrr = mrr + 1 where user_id = '1'", {"user_results": 1, "hits": 1}),
        ("update user_results set hit_ranks = '{2,1}' where user_id = '1'", {"hits": 1}),
        ("update user_results set hit_ranks = '{1,1}' where user_id = '1'", {"hits": 1}),
        # k is 2.
        ("update user_results set hit_ranks = '{1,3}' where user_id = '1'", {"hits": 1}),
        ("update user_results set hit_items = '{80,no such}' where user_id = '1'", {"hits": 1}),
        ("update user_results set hit_items = '{80}', hit_ranks = '{1}' where user_id = '1'", {"hits": 1}),
        ("update user_results set hit_items = '{10}', hit_ranks = '{1}' where user_id = '2'", {"hits": 1}),
        ("update user_results set hit_items = null, hit_ranks = null where user_id = '2'", {"hits": 1}),
        # As an older version stored it.
        ("update user_results set hit_items = null, hit_ranks = null", {}),
        ("delete from user_results where user_id = '1'", {"user_results": 8}),
        ("delete from metrics where name = 'map@2'", {"user_results": 1}),
    ],
)
def test_each_fault_is_found(engine, sweep, fault, checks):
    with engine.begin() as connection:
        connection.execute(text(fault))
    assert found(engine, sweep) == checks


def test_ties_in_the_wrong_order_are_found(engine, sweep):
    with engine.begin() as connection:
        # Items "80" and "70" have the rows 7 and 6; nobody rated them.
        connection.execute(
            text("""
                update recommendations set score = 4, item_id = case rank when 1 then '80' else '70' end
                where user_id = '1'
            """)
        )
    assert found(engine, sweep) == {"order": 1}


def test_items_below_the_support_are_no_candidates(engine):
    sweep = store_sweep(engine, DATASET, [make_config()], protocol=Protocol(k=2, min_support=1))
    store_result(engine, sweep.sweep_id, LABEL, DATASET, make_result(DATASET))
    recommended = make_result(DATASET).recommendations.item_index
    # The items in rows 6 and 7 have no rating.
    assert found(engine, sweep) == {"candidates": int(np.isin(recommended, [6, 7]).sum())}


def test_other_data_are_refused(engine, sweep):
    with pytest.raises(StoreError, match="cannot be verified with data"):
        verify_recommendations(engine, sweep.sweep_id, make_dataset(n_users=5), SPLIT, [])


def test_every_check_states_its_rule():
    assert all(rule.endswith(".") for _, rule in list_checks())
