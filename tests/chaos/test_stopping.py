"""A worker that is killed while it asks whether its trial is to stop."""

from sqlalchemy import text

from tests.chaos.cluster import SLOW_TRAINING, Cluster, assert_whole, fingerprint
from tests.chaos.waiting import wait_for

RULE = """
[stopping]
rule = "successive_halving"
min_epochs = 2
"""
ASKS = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%with company as%'"


def sweep_of(learning_rates: list[float]) -> str:
    return f"""
[grid]
merge = ["concatenate"]
embedding_size = [8]
dense_layers = [[4, 1]]
learning_rate = {learning_rates}

[training]
{SLOW_TRAINING}max_epochs = 6
"""


def test_a_worker_killed_while_it_asks_whether_to_stop(cluster: Cluster):
    """Nothing is stopped by the question; the next attempt asks again, and the trial ends once."""
    plain = cluster.dispatch(sweep_of([0.0000001]), "plain")
    cluster.add_worker()
    cluster.add_watcher()
    cluster.wait_for_end(plain)
    wanted = fingerprint(cluster, cluster.trial(plain).trial_id)

    sweep_id = cluster.dispatch(sweep_of([0.001, 0.0000001]) + RULE, "stopping")
    winner, loser = [one for one in cluster.trials(sweep_id) if not one.config.is_baseline]
    cluster.wait_for_epoch(loser.trial_id, 1)
    with cluster.engine.connect() as holder:
        # Epochs are recorded beside this lock, and whoever stops the trial waits for it.
        lock = text("select from trials where trial_id = :id for share")
        holder.execute(lock, {"id": loser.trial_id})
        wait_for(lambda: cluster.select(ASKS), "the worker asks")
        cluster.holder(loser.trial_id).kill()
        holder.rollback()
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    assert cluster.trial(sweep_id, winner.label).status == "succeeded"
    assert cluster.trial(sweep_id, loser.label).status == "stopped"
    ends = cluster.attempts(loser.trial_id)
    assert [end for end, _ in ends] == ["lost_worker", "stopped"]
    assert str(ends[1][1]).startswith("stopped after epoch 2: rmse ")

    # With the rule removed it goes on from its checkpoint, to what it had been without.
    cluster.dispatch(sweep_of([0.001, 0.0000001]), "stopping")
    assert {one.status for one in cluster.wait_for_end(sweep_id)} == {"succeeded"}
    assert_whole(cluster, sweep_id)
    assert fingerprint(cluster, loser.trial_id) == wanted
    by_attempt = cluster.select(
        "select attempt, min(epoch) from epochs where trial_id = :id group by attempt order by attempt",
        id=loser.trial_id,
    )
    assert by_attempt[-1] == (3, 3)
