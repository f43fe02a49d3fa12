"""Cases 1, 2 and 8: task processes and workers that are killed, stopped or paused mid-trial."""

import signal
import time

from tests.chaos.cluster import N_EPOCHS, ONE_TRIAL, Cluster, assert_whole, fingerprint
from tests.chaos.servers import Worker, paused
from tests.chaos.waiting import MEASURED, PATIENCE_SECONDS, wait_for


def epochs_by_attempt(cluster: Cluster, trial_id: int) -> dict[int, list[int]]:
    rows = cluster.select(
        "select attempt, array_agg(epoch order by epoch) from epochs where trial_id = :id group by attempt",
        id=trial_id,
    )
    return dict(rows)  # type: ignore[arg-type]


def assert_resumed(cluster: Cluster, trial_id: int, n_attempts: int) -> None:
    """Every attempt went on where the one before had got to."""
    epochs = epochs_by_attempt(cluster, trial_id)
    assert [epoch for attempt in sorted(epochs) for epoch in epochs[attempt]] == list(range(1, N_EPOCHS + 1))
    assert sorted(epochs) == list(range(1, n_attempts + 1))


def test_killed_task_process_resumes_from_the_checkpoint(cluster, undisturbed):
    sweep_id = cluster.dispatch(ONE_TRIAL)
    cluster.add_worker()
    cluster.add_watcher()
    trial = cluster.trial(sweep_id)
    for attempt in (1, 2):
        cluster.wait_for_attempt(trial.trial_id, attempt)
        cluster.wait_for_epoch(trial.trial_id, 3 * attempt)
        killed_at = time.monotonic()
        cluster.holder(trial.trial_id).kill()
        cluster.wait_for_attempt(trial.trial_id, attempt + 1)
        MEASURED.append(f"task process killed: next attempt after {time.monotonic() - killed_at:.1f} s")
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    assert_resumed(cluster, trial.trial_id, 3)
    ends = cluster.attempts(trial.trial_id)
    assert [end for end, _ in ends] == ["lost_worker", "lost_worker", "succeeded"]
    assert "killed by signal 9 (SIGKILL) after epoch" in ends[0][1]
    assert fingerprint(cluster, trial.trial_id) == undisturbed


def test_killed_worker_resumes_when_its_lease_has_run_out(cluster, undisturbed):
    """The parent dies, and the kernel ends its task processes with it; a message is left behind in Redis.

    Twice on the same trial.
    """
    sweep_id = cluster.dispatch(ONE_TRIAL)
    worker = cluster.add_worker()
    cluster.add_watcher()
    trial = cluster.trial(sweep_id)
    for attempt in (1, 2):
        cluster.wait_for_attempt(trial.trial_id, attempt)
        cluster.wait_for_epoch(trial.trial_id, 3 * attempt)
        process = cluster.holder(trial.trial_id)
        killed_at = time.monotonic()
        worker.stop(signal.SIGKILL)
        wait_for(lambda process=process: not process.is_running(), "the task process ends with its parent")
        worker.start()
        cluster.wait_for_attempt(trial.trial_id, attempt + 1)
        MEASURED.append(f"worker killed: next attempt after {time.monotonic() - killed_at:.1f} s")
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    assert_resumed(cluster, trial.trial_id, 3)
    assert [end for end, _ in cluster.attempts(trial.trial_id)] == ["lost_worker", "lost_worker", "succeeded"]
    assert fingerprint(cluster, trial.trial_id) == undisturbed


def test_trial_that_kills_its_process_fails_after_three_attempts(cluster):
    sweep_id = cluster.dispatch(ONE_TRIAL)
    cluster.add_worker()
    cluster.add_watcher()
    trial = cluster.trial(sweep_id)
    for attempt in (1, 2, 3):
        cluster.wait_for_attempt(trial.trial_id, attempt)
        process = cluster.holder(trial.trial_id)
        process.send_signal(signal.SIGSEGV)
        wait_for(lambda process=process: not process.is_running(), "the process ends")
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    trial = cluster.trial(sweep_id)
    assert (trial.status, trial.attempt, trial.error_reason) == ("failed", 3, "lost_worker")
    assert "attempt 3 of 3: killed by signal 11 (SIGSEGV)" in (trial.error_message or "")
    assert cluster.trial(sweep_id, "baseline_item_popularity").status == "succeeded"


def test_terminated_worker_hands_its_trial_to_another(cluster, undisturbed):
    first, second = cluster.add_worker(wait=False), cluster.add_worker(wait=False)
    for worker in (first, second):
        worker.wait_until_ready()
    sweep_id = cluster.dispatch(ONE_TRIAL)
    trial = cluster.trial(sweep_id)
    cluster.wait_for_epoch(trial.trial_id, 3)
    stopped, other = (first, second) if _holds(first, cluster.trial(sweep_id).worker) else (second, first)
    terminated_at = time.monotonic()
    stopped.send(signal.SIGTERM)
    cluster.wait_for_attempt(trial.trial_id, 2)
    MEASURED.append(f"worker terminated: another went on after {time.monotonic() - terminated_at:.1f} s")
    assert stopped.process is not None
    stopped.process.wait(timeout=PATIENCE_SECONDS)
    MEASURED.append(f"worker terminated: it had ended after {time.monotonic() - terminated_at:.1f} s")
    assert _holds(other, cluster.trial(sweep_id).worker)
    cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    assert_resumed(cluster, trial.trial_id, 2)
    assert [end for end, _ in cluster.attempts(trial.trial_id)] == ["handed_back", "succeeded"]
    assert fingerprint(cluster, trial.trial_id) == undisturbed


def _holds(worker: Worker, name: str | None) -> bool:
    return (name or "").rpartition("/")[2] in {str(process.pid) for process in worker.task_processes()}


def test_paused_process_cannot_overwrite_the_attempt_that_replaced_it(cluster, undisturbed):
    sweep_id = cluster.dispatch(ONE_TRIAL)
    late = cluster.add_worker()
    cluster.add_watcher()
    trial = cluster.trial(sweep_id)
    cluster.wait_for_epoch(trial.trial_id, 3)
    with paused(cluster.holder(trial.trial_id)):
        cluster.add_worker()
        cluster.wait_for_attempt(trial.trial_id, 2)
    cluster.wait_for_end(sweep_id)
    wait_for(lambda: "superseded by another attempt" in late.log, "the late process notices")
    assert_whole(cluster, sweep_id)
    assert_resumed(cluster, trial.trial_id, 2)
    assert [end for end, _ in cluster.attempts(trial.trial_id)] == ["lost_worker", "succeeded"]
    assert fingerprint(cluster, trial.trial_id) == undisturbed
