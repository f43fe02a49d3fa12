"""Whose memory kills are counted, as the files of either version of control groups tell it."""

from pathlib import Path

import pytest

from worker.process.memory_kills import MemoryKillLedger, MemoryKills, count_memory_kills


class Kernel:
    """A folder that reads like /proc, and control groups mounted in another."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.groups = folder / "proc", folder / "control groups"
        self._write(self.proc / "vmstat", "pgfault 12\noom_kill 40\n")

    def mount(self, cgroup: str, mounts: str) -> None:
        """`mounts` names the folder of the groups by {}, in which mountinfo writes a blank as \\040."""
        self._write(self.proc / "self" / "cgroup", cgroup)
        name = str(self.groups).replace(" ", "\\040")
        self._write(self.proc / "self" / "mountinfo", mounts.replace("{}", name))

    def set_counter(self, path: str, text: str) -> Path:
        return self._write(self.groups / path, text)

    @staticmethod
    def _write(path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


V2_MOUNT = "30 23 0:26 / {} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = """\
32 31 0:29 / {}/cpu rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / {}/memory rw - cgroup cgroup rw,memory
"""


def test_version_2_counts_for_the_group_of_the_process(kernel):
    kernel.mount("0::/system.slice/worker\n", V2_MOUNT)
    place = kernel.set_counter("system.slice/worker/memory.events", "oom 5\noom_kill 3\noom_group_kill 0\n")
    assert count_memory_kills(kernel.proc) == MemoryKills("group", place, 3)


def test_version_1_counts_for_the_memory_group_of_the_process(kernel):
    kernel.mount("5:cpu,cpuacct:/elsewhere\n4:memory:/worker\n0::/\n", V1_MOUNTS)
    place = kernel.set_counter("memory/worker/memory.oom_control", "under_oom 0\noom_kill 2\n")
    assert count_memory_kills(kernel.proc) == MemoryKills("group", place, 2)


def test_a_container_sees_its_group_mounted_as_the_root(kernel):
    mount = "35 31 0:32 /docker/3f2a {}/memory ro - cgroup cgroup rw,memory\n"
    kernel.mount("4:memory:/docker/3f2a\n", mount)
    place = kernel.set_counter("memory/memory.oom_control", "oom_kill 1\n")
    assert count_memory_kills(kernel.proc) == MemoryKills("group", place, 1)


def test_a_container_of_version_2_has_a_name_space_of_its_own(kernel):
    kernel.mount("0::/\n", V2_MOUNT)
    place = kernel.set_counter("memory.events", "oom_kill 0\n")
    assert count_memory_kills(kernel.proc) == MemoryKills("group", place, 0)


@pytest.mark.parametrize(
    ("cgroup", "mounts"), [("0::/\n", V2_MOUNT), ("4:memory:/\n0::/\n", V1_MOUNTS), ("", "")]
)
def test_without_a_group_there_is_the_count_of_the_machine(kernel, cgroup, mounts):
    kernel.mount(cgroup, mounts)
    # The root of version 1 counts for everybody who is in no group.
    kernel.set_counter("memory/memory.oom_control", "oom_kill 7\n")
    assert count_memory_kills(kernel.proc) == MemoryKills("machine", kernel.proc / "vmstat", 40)


def test_a_system_that_does_not_count_gives_nothing(tmp_path):
    assert count_memory_kills(tmp_path) is None


GROUP, OTHER_GROUP = Path("a"), Path("b")


def kills(count: int, place: Path = GROUP) -> MemoryKills:
    return MemoryKills("group", place, count)


def test_a_kill_before_the_trial_does_not_explain_its_loss():
    assert MemoryKillLedger().take(kills(1), kills(1)) is None


def test_one_kill_explains_one_loss_of_two_that_ran_at_once():
    ledger = MemoryKillLedger()
    assert [ledger.take(kills(1), kills(2)) for _ in range(2)] == ["group", None]


def test_two_kills_explain_two_losses():
    ledger = MemoryKillLedger()
    assert [ledger.take(kills(1), kills(3)) for _ in range(3)] == ["group", "group", None]


def test_counts_that_cannot_be_compared_explain_nothing():
    ledger = MemoryKillLedger()
    assert ledger.take(kills(0), kills(5, OTHER_GROUP)) is None
    assert ledger.take(None, kills(5)) is None
    assert ledger.take(kills(0), None) is None
