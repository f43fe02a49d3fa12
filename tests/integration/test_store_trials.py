"""Claims, leases, attempts: one owner at a time, and every end has a reason."""

import threading

import pytest
from sqlalchemy import Engine, text

from shared.domain.families.user_item_bias import UserItemBias
from shared.domain.trial import TrialConfig
from shared.errors import TrialError
from shared.store import (
    Trial,
    add_trials,
    cancel_sweep,
    claim_trial,
    extend_lease,
    fail_trial,
    finish_trial,
    queued_trials,
    record_epoch,
    recover_lost_trials,
    release_trial,
    requeue_trials,
    sweep_trials,
)
from tests.factories import (
    claim_label,
    expire_leases,
    make_config,
    make_dataset,
    make_epochs,
    make_result,
    store_sweep,
)

LABEL = "concatenate_4_2_1"
DATASET = make_dataset()


@pytest.fixture
def sweep_id(engine: Engine) -> int:
    return store_sweep(engine, DATASET, [make_config()]).sweep_id


def only_trial(engine: Engine, sweep_id: int) -> Trial:
    (trial,) = sweep_trials(engine, sweep_id)
    return trial


def attempts(engine: Engine) -> list[tuple[object, ...]]:
    with engine.begin() as connection:
        rows = connection.execute(
            text("select attempt, worker, end_reason, ended_at is null from attempts order by attempt")
        )
        return [tuple(row) for row in rows]


def test_add_trials_queues_each_configuration_once(engine, sweep_id):
    add_trials(engine, sweep_id, [make_config(), make_config("dot")])
    add_trials(engine, sweep_id, [make_config("dot"), TrialConfig(UserItemBias())])
    assert [(trial.label, trial.status) for trial in sweep_trials(engine, sweep_id)] == [
        (LABEL, "queued"),
        ("dot_4_2_1", "queued"),
        ("baseline_user_item_bias", "queued"),
    ]


def test_claim_gives_all_that_is_needed_to_run(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    assert (claim.attempt, claim.sweep_id, claim.label) == (1, sweep_id, LABEL)
    assert claim.config == make_config()
    assert claim.protocol.k == 2
    assert (claim.dataset_name, claim.fingerprint) == (DATASET.name, DATASET.fingerprint)
    assert attempts(engine) == [(1, "worker-1", None, True)]


def test_of_many_claims_at_once_one_wins(engine, sweep_id):
    trial_id = only_trial(engine, sweep_id).trial_id
    barrier = threading.Barrier(2)
    claims = []

    def claim(worker: str) -> None:
        barrier.wait()
        claims.append(claim_trial(engine, trial_id, worker, 60, "test"))

    threads = [threading.Thread(target=claim, args=(f"worker-{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claim is None for claim in claims) == [False, True]


def test_a_leased_trial_cannot_be_claimed(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    assert claim_trial(engine, claim.trial_id, "worker-2", 60, "test") is None


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_a_trial_that_is_over_cannot_be_claimed(engine, sweep_id, end):
    if end == "cancelled":
        cancel_sweep(engine, sweep_id)
    else:
        claim = claim_label(engine, sweep_id, LABEL)
        if end == "failed":
            fail_trial(engine, claim.trial_id, 1, "error", "broken")
        else:
            finish_trial(engine, claim, make_result(DATASET), DATASET)
    trial = only_trial(engine, sweep_id)
    assert trial.status == end
    assert claim_trial(engine, trial.trial_id, "worker-2", 60, "test") is None


def test_a_trial_that_this_version_cannot_read_fails_when_it_is_claimed(engine, sweep_id):
    with engine.begin() as connection:
        connection.execute(text("update trials set config = config || '{\"from_the_future\": 1}'"))
    with pytest.raises(TrialError, match="code version v1, cannot read the trial's configuration"):
        claim_trial(engine, 1, "worker", 30, "v1")
    with engine.connect() as connection:
        status, reason, message = connection.execute(
            text("select status, error_reason, error_message from trials")
        ).one()
    assert (status, reason) == ("failed", "error")
    assert "run workers and scheduler of one version" in message
    assert attempts(engine) == [(1, "worker", "error", False)]


def test_an_expired_lease_can_be_claimed_and_closes_the_lost_attempt(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    second = claim_trial(engine, claim.trial_id, "worker-2", 60, "test")
    assert second is not None
    assert second.attempt == 2
    assert attempts(engine) == [(1, "worker-1", "lost_worker", False), (2, "worker-2", None, True)]


def test_extend_lease_holds_an_expired_trial_nobody_took(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    assert extend_lease(engine, claim.trial_id, 1, 60) == "held"
    assert claim_trial(engine, claim.trial_id, "worker-2", 60, "test") is None


def test_extend_lease_tells_a_late_worker_that_it_was_superseded(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    claim_trial(engine, claim.trial_id, "worker-2", 60, "test")
    assert extend_lease(engine, claim.trial_id, 1, 60) == "superseded"
    assert extend_lease(engine, claim.trial_id, 2, 60) == "held"


def test_extend_lease_after_success_is_no_alarm(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    finish_trial(engine, claim, make_result(DATASET), DATASET)
    assert extend_lease(engine, claim.trial_id, 1, 60) == "held"


def test_fail_stores_reason_and_message(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    assert fail_trial(engine, claim.trial_id, 1, "out_of_memory", "needs 9 GB", peak_memory_bytes=9)
    trial = only_trial(engine, sweep_id)
    assert (trial.status, trial.error_reason, trial.error_message) == (
        "failed",
        "out_of_memory",
        "needs 9 GB",
    )
    assert trial.finished_at is not None
    assert attempts(engine) == [(1, "worker-1", "out_of_memory", False)]


def test_fail_with_retry_queues_until_attempts_are_used_up(engine, sweep_id):
    ends = []
    for attempt in (1, 2, 3):
        claim = claim_label(engine, sweep_id, LABEL)
        fail_trial(engine, claim.trial_id, attempt, "out_of_memory", "needs 9 GB", retry=True)
        ends.append(only_trial(engine, sweep_id).status)
    assert ends == ["queued", "queued", "failed"]


def test_a_superseded_attempt_cannot_fail_release_or_record(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    expire_leases(engine)
    claim_trial(engine, claim.trial_id, "worker-2", 60, "test")
    assert not fail_trial(engine, claim.trial_id, 1, "error", "late")
    assert not release_trial(engine, claim.trial_id, 1, "released")
    record_epoch(engine, claim.trial_id, 1, make_epochs(1)[0])
    trial = only_trial(engine, sweep_id)
    assert (trial.status, trial.attempt, trial.epoch) == ("running", 2, None)


def test_release_does_not_use_up_attempts(engine, sweep_id):
    for attempt in range(1, 6):
        claim = claim_label(engine, sweep_id, LABEL)
        assert release_trial(engine, claim.trial_id, attempt, "released")
    trial = only_trial(engine, sweep_id)
    assert (trial.status, trial.attempt, trial.attempts_allowed) == ("queued", 5, 8)
    assert attempts(engine)[0] == (1, "worker-1", "released", False)


def test_recover_queues_lost_trials_and_names_what_was_lost_in_the_end(engine, sweep_id):
    recovered = []
    for attempt in (1, 2, 3):
        claim = claim_label(engine, sweep_id, LABEL)
        record_epoch(engine, claim.trial_id, attempt, make_epochs(2)[1])
        expire_leases(engine)
        recovered.append([trial.label for trial in recover_lost_trials(engine)])
    assert recovered == [[LABEL], [LABEL], []]
    trial = only_trial(engine, sweep_id)
    assert (trial.status, trial.error_reason) == ("failed", "lost_worker")
    assert "attempt 3 of 3 was lost: worker worker-1 stopped answering after epoch 2" in str(
        trial.error_message
    )
    assert [row[2] for row in attempts(engine)] == ["lost_worker"] * 3


def test_recover_leaves_a_held_lease_alone(engine, sweep_id):
    claim_label(engine, sweep_id, LABEL)
    assert recover_lost_trials(engine) == []
    assert only_trial(engine, sweep_id).status == "running"


def test_cancel_ends_queued_trials_at_once_and_asks_running_ones(engine, sweep_id):
    add_trials(engine, sweep_id, [make_config("dot"), make_config("average")])
    claim = claim_label(engine, sweep_id, LABEL)
    assert cancel_sweep(engine, sweep_id) == (2, 1)
    assert [trial.status for trial in sweep_trials(engine, sweep_id)] == ["running", "cancelled", "cancelled"]
    assert extend_lease(engine, claim.trial_id, 1, 60) == "cancelled"
    assert fail_trial(engine, claim.trial_id, 1, "cancelled", "asked to stop")
    assert {trial.status for trial in sweep_trials(engine, sweep_id)} == {"cancelled"}
    assert queued_trials(engine) == []


@pytest.mark.parametrize("end", ["lost", "released", "retried"])
def test_a_cancelled_trial_does_not_come_back(engine, sweep_id, end):
    claim = claim_label(engine, sweep_id, LABEL)
    cancel_sweep(engine, sweep_id)
    if end == "lost":
        expire_leases(engine)
        assert claim_trial(engine, claim.trial_id, "worker-2", 60, "test") is None
        assert recover_lost_trials(engine) == []
    elif end == "released":
        release_trial(engine, claim.trial_id, 1, "released")
    else:
        fail_trial(engine, claim.trial_id, 1, "timeout", "too long", retry=True)
    assert only_trial(engine, sweep_id).status == "cancelled"


def test_requeue_gives_all_attempts_again(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    fail_trial(engine, claim.trial_id, 1, "error", "broken")
    requeue_trials(engine, [claim.trial_id])
    trial = only_trial(engine, sweep_id)
    assert (trial.status, trial.attempts_allowed) == ("queued", 4)
    assert (trial.error_reason, trial.error_message, trial.finished_at) == (None, None, None)
    assert claim_label(engine, sweep_id, LABEL).attempt == 2


def test_requeue_does_not_touch_a_success(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    finish_trial(engine, claim, make_result(DATASET), DATASET)
    requeue_trials(engine, [claim.trial_id])
    assert only_trial(engine, sweep_id).status == "succeeded"


def test_requeue_withdraws_a_cancel_that_a_worker_is_about_to_obey(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    cancel_sweep(engine, sweep_id)
    requeue_trials(engine, [claim.trial_id])
    assert fail_trial(engine, claim.trial_id, 1, "cancelled", "asked to stop")
    assert only_trial(engine, sweep_id).status == "queued"


def test_record_epoch_forgets_later_epochs_of_an_earlier_attempt(engine, sweep_id):
    claim = claim_label(engine, sweep_id, LABEL)
    for epoch in make_epochs(5):
        record_epoch(engine, claim.trial_id, 1, epoch)
    assert only_trial(engine, sweep_id).epoch == 5
    release_trial(engine, claim.trial_id, 1, "released")
    claim_label(engine, sweep_id, LABEL)
    record_epoch(engine, claim.trial_id, 2, make_epochs(3)[2])
    trial = only_trial(engine, sweep_id)
    assert trial.epoch == 3
    # Epoch 3 has the validation loss 1 + 1/3.
    assert trial.val_rmse == pytest.approx((4 / 3) ** 0.5)
