"""Cases 9, 10, 11 and 12: trials that cannot succeed, cancelling, many processes, many trials."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from shared import store
from tests.chaos.cluster import (
    N_EPOCHS,
    ONE_TRIAL,
    TERMINAL,
    Cluster,
    assert_all_succeeded_at_once,
    assert_whole,
    one_trial,
    sample,
    short_trials,
)
from tests.chaos.waiting import MEASURED, PATIENCE_SECONDS, wait_for

SHORT_TRIAL = one_trial(max_epochs=2)
LONG_TRIAL = one_trial(max_epochs=60)
N_SOAK_TRIALS = 200
MAX_GROWTH_BYTES = 100_000_000


def architecture_sweep(**training: object) -> str:
    """One architecture and the two baselines."""
    lines = "\n".join(f"{name} = {value}" for name, value in training.items())
    return ONE_TRIAL.partition("[training]")[0] + f"[training]\n{lines}\n"


def assert_failed(cluster: Cluster, sweep_id: int, reason: str, words: str, n_attempts: int = 1) -> None:
    """The architecture failed for this reason, and the sweep went on: both baselines succeeded."""
    trials = cluster.wait_for_end(sweep_id)
    assert_whole(cluster, sweep_id)
    trial = cluster.trial(sweep_id)
    assert (trial.status, trial.error_reason, trial.attempt) == ("failed", reason, n_attempts), trial
    assert words in (trial.error_message or "")
    assert {one.status for one in trials if one.config.is_baseline} == {"succeeded"}


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group that may use 900 MB; asked for before the cluster, it goes after its processes."""
    group = Path("/sys/fs/cgroup/memory") / f"recsweep-chaos-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("900M")
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            group.rmdir()
            break
        time.sleep(0.1)


def test_out_of_memory_fails_after_bounded_attempts(memory_group, cluster):
    # 6 tables of 940 + 1700 rows of 40,000 numbers of 4 bytes are 2.5 GB.
    greedy = architecture_sweep(max_epochs=1).replace("embedding_size = [8]", "embedding_size = [40000]")
    sweep_id = cluster.dispatch(greedy)
    cluster.add_watcher()
    worker = cluster.add_worker(wait=False)
    assert worker.process is not None
    # The parent first: what it starts from then on is in the group by itself.
    (memory_group / "cgroup.procs").write_text(str(worker.process.pid))
    for process in psutil.Process(worker.process.pid).children(recursive=True):
        (memory_group / "cgroup.procs").write_text(str(process.pid))
    assert_failed(cluster, sweep_id, "out_of_memory", "memory ran out", n_attempts=3)
    ((peak,),) = cluster.select(
        "select peak_memory_bytes from trials where trial_id = :id", id=cluster.trial(sweep_id).trial_id
    )
    # Resident memory counts the pages of shared libraries, the group's limit need not.
    assert 500_000_000 < peak < 1_500_000_000


@pytest.fixture
def small_disk(cluster: Cluster) -> Iterator[None]:
    """The artifacts of sweep 1 lie on a disk with room for a few kilobytes."""
    folder = Path(urlsplit(cluster.artifact_root).path) / "sweep-1"
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_fails_the_trial(cluster, small_disk):
    sweep_id = cluster.dispatch(SHORT_TRIAL)
    cluster.add_worker()
    assert_failed(cluster, sweep_id, "disk_full", "no space left")


def test_artifact_folder_that_cannot_be_written_fails_the_trial(cluster):
    """A file where the folder should be: root too may not write there."""
    sweep_id = cluster.dispatch(SHORT_TRIAL)
    label = cluster.trial(sweep_id).label
    place = Path(urlsplit(cluster.artifact_root).path) / f"sweep-{sweep_id}" / label
    place.parent.mkdir(parents=True)
    place.write_text("in the way")
    cluster.add_worker()
    assert_failed(cluster, sweep_id, "artifact", "cannot read or write")


def test_loss_that_is_not_finite_fails_the_trial(cluster):
    sweep_id = cluster.dispatch(architecture_sweep(optimizer='"sgd"', learning_rate=1e30, max_epochs=3))
    cluster.add_worker()
    assert_failed(cluster, sweep_id, "not_finite_loss", "must stay finite")


def test_vanished_data_set_fails_the_trials(cluster):
    sweep_id = cluster.dispatch(SHORT_TRIAL)
    dataset = Path(urlsplit(cluster.artifact_root).path) / "datasets" / f"{sample().fingerprint}.npz"
    dataset.unlink()
    cluster.add_worker()
    trials = cluster.wait_for_end(sweep_id)
    assert {(trial.status, trial.error_reason) for trial in trials} == {("failed", "dataset")}
    assert all("`make sweep` prepares it" in (trial.error_message or "") for trial in trials)
    # And so it does.
    cluster.dispatch(SHORT_TRIAL)
    assert {trial.status for trial in cluster.wait_for_end(sweep_id)} == {"succeeded"}
    assert_whole(cluster, sweep_id)


def test_cancel_stops_running_trials_and_keeps_queued_ones_from_starting(cluster):
    sweep_id = cluster.dispatch(LONG_TRIAL)
    assert store.cancel_sweep(cluster.engine, sweep_id) == (3, 0)
    worker = cluster.add_worker()
    cluster.add_watcher()
    wait_for(lambda: worker.log.count("nothing to do, it is done or runs elsewhere") == 3, "3 messages")
    assert {(trial.status, trial.attempt) for trial in cluster.trials(sweep_id)} == {("cancelled", 0)}
    # Resumed, and cancelled while it runs.
    cluster.dispatch(LONG_TRIAL)
    trial = cluster.trial(sweep_id)
    cluster.wait_for_epoch(trial.trial_id, 2)
    cancelled_at = time.monotonic()
    store.cancel_sweep(cluster.engine, sweep_id)
    wait_for(lambda: cluster.trial(sweep_id).status == "cancelled", "the running trial stops")
    MEASURED.append(f"cancel: the running trial had stopped after {time.monotonic() - cancelled_at:.1f} s")
    # Resumed once more, from its checkpoint.
    cluster.dispatch(LONG_TRIAL)
    trials = cluster.wait_for_end(sweep_id)
    assert {one.status for one in trials} == {"succeeded"}
    assert [end for end, _ in cluster.attempts(trial.trial_id)] == ["cancelled", "succeeded"]
    assert_whole(cluster, sweep_id)


def test_sixteen_processes_share_few_connections_and_start_at_once(cluster):
    started_at = time.monotonic()
    worker = cluster.add_worker(16)
    wait_for(lambda: worker.log.count("calling self.run()") >= 16, "sixteen processes")
    start_seconds = time.monotonic() - started_at
    # Each opens its connection; then two trials for idle processes.
    sweep_id = cluster.dispatch(short_trials(range(4, 20)), "many")
    counts = []

    def ended() -> bool:
        rows = cluster.select(
            "select client_port from pg_stat_activity where datname = current_database()"
            " and application_name like 'recsweep%' and pid <> pg_backend_pid()"
        )
        ports = {port for (port,) in rows}
        counts.append(max((_n_connections(process, ports) for process in worker.task_processes()), default=0))
        return all(trial.status in TERMINAL for trial in cluster.trials(sweep_id))

    wait_for(ended, "all trials have ended", 4 * PATIENCE_SECONDS)
    assert_all_succeeded_at_once(cluster, sweep_id)
    assert 1 <= max(counts) <= 2
    published_at = time.time()
    trials = cluster.wait_for_end(cluster.dispatch(one_trial(N_EPOCHS, [8, 9]), "two"))
    last = max(trial.started_at.timestamp() for trial in trials if trial.started_at)
    MEASURED.append(f"16 idle processes: 4 trials had started after {last - published_at:.1f} s")
    # None waited for another: all had started before the first of the long ones ended.
    assert last < min(one.finished_at.timestamp() for one in trials if not one.config.is_baseline)
    # More trials than processes: none of these waits while one of those has nothing to do. One that is
    # replaced after four trials takes its time to start, if not as long as all of them at once.
    longest = longest_idle_span(cluster, cluster.dispatch(short_trials(range(20, 44)), "more"), 16)
    MEASURED.append(
        f"16 processes, which start in {start_seconds:.1f} s, 26 trials: "
        f"one idled for {longest:.1f} s at most while a trial waited"
    )
    assert longest < start_seconds


def longest_idle_span(cluster: Cluster, sweep_id: int, n_processes: int) -> float:
    """Seconds without a break in which trials waited and not all processes ran one."""
    idle_since: float | None = None
    longest = 0.0

    def ended() -> bool:
        nonlocal idle_since, longest
        statuses = [trial.status for trial in cluster.trials(sweep_id)]
        if "queued" in statuses and statuses.count("running") < n_processes:
            idle_since = idle_since or time.monotonic()
            longest = max(longest, time.monotonic() - idle_since)
        else:
            idle_since = None
        return all(status in TERMINAL for status in statuses)

    wait_for(ended, "all trials have ended", 4 * PATIENCE_SECONDS)
    return longest


def _n_connections(process: psutil.Process, ports: set[object]) -> int:
    with contextlib.suppress(psutil.Error):
        return sum(connection.laddr.port in ports for connection in process.net_connections("tcp"))
    return 0


def test_two_hundred_trials_leave_nothing_behind(cluster):
    soak = f"""
[grid]
merge = ["concatenate"]
embedding_size = [4]
dense_layers = [[2, 1]]
random_seed = [{", ".join(map(str, range(N_SOAK_TRIALS)))}]

[training]
batch_size = 1024
max_epochs = 1
"""
    worker = cluster.add_worker(1)
    folder = Path("/tmp")  # noqa: S108  Where the worker makes its temporary folders.
    sweep_id = cluster.dispatch(soak)
    measures: list[tuple[int, int, int, int]] = []

    def ended() -> bool:
        trials = cluster.trials(sweep_id)
        n_ended = sum(trial.status in TERMINAL for trial in trials)
        for process in worker.task_processes():
            with contextlib.suppress(psutil.Error):
                measures.append((n_ended, process.pid, process.memory_info().rss, process.num_fds()))
        time.sleep(0.5)
        return n_ended == len(trials)

    wait_for(ended, "all trials have ended", 2400)
    assert_all_succeeded_at_once(cluster, sweep_id)
    late = [measure for measure in measures if measure[0] >= 20]
    middle = [measure for measure in late if measure[0] < 60]
    end = [measure for measure in late if measure[0] >= N_SOAK_TRIALS - 40]
    growth = max(rss for _, _, rss, _ in end) - max(rss for _, _, rss, _ in middle)
    MEASURED.append(
        f"{N_SOAK_TRIALS} trials through one worker: {max(m[2] for m in middle) / 1e6:.0f} MB after 60, "
        f"{growth / 1e6:+.0f} MB at the end, {len({m[1] for m in late})} processes, "
        f"{max(m[3] for m in end)} open files"
    )
    assert growth < MAX_GROWTH_BYTES
    assert max(m[3] for m in end) <= max(m[3] for m in middle) + 2
    assert not list(folder.glob("recsweep-*/*.keras"))
    artifacts = Path(urlsplit(cluster.artifact_root).path)
    assert not list(artifacts.rglob("checkpoint.npz"))
    assert not list(artifacts.rglob(".*"))
