"""Room for memory: what the machine has, and the limits of control groups, version 1 and 2."""

from types import SimpleNamespace

import psutil
import pytest

from worker.process.memory_room import memory_limit_bytes, memory_room_bytes


@pytest.fixture
def groups(tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8000, total=9000))
    return tmp_path


def member_of(folder, text):
    membership = folder / "membership"
    membership.write_text(text)
    return membership


def limit(group, limit_bytes, taken_bytes, cached_bytes=0):
    group.mkdir(parents=True, exist_ok=True)
    (group / "memory.max").write_text(f"{limit_bytes}\n")
    (group / "memory.current").write_text(f"{taken_bytes}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {cached_bytes}\n")


def test_without_control_groups_it_is_what_is_available(groups):
    assert memory_room_bytes(groups, groups / "missing") == 8000


def test_the_room_is_the_limit_less_what_is_taken(groups):
    limit(groups, 5000, 1500, cached_bytes=200)

    # 5000 - 1500 + 200, for cached files give way.
    assert memory_room_bytes(groups, member_of(groups, "0::/\n")) == 3700


def test_the_smallest_room_of_a_group_and_those_above_holds(groups):
    limit(groups / "a", 4000, 3500)
    limit(groups / "a" / "b", "max", 10)

    assert memory_room_bytes(groups, member_of(groups, "0::/a/b\n")) == 500


def test_a_group_without_a_mount_of_its_own_is_the_mounts_root(groups):
    limit(groups, 3000, 1000)

    assert memory_room_bytes(groups, member_of(groups, "0::/docker/3f2a\n")) == 2000


def test_version_1_counts_the_groups_below_too(groups):
    group = groups / "memory" / "x"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("6000\n")
    (group / "memory.usage_in_bytes").write_text("4000\n")
    (group / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 300\n")

    assert memory_room_bytes(groups, member_of(groups, "4:memory:/x\n3:cpu:/y\n")) == 2300


def test_a_group_over_its_limit_has_no_room(groups):
    limit(groups, 1000, 1200)

    assert memory_room_bytes(groups, member_of(groups, "0::/\n")) == 0


def test_what_could_ever_be_taken_is_the_smallest_limit_or_the_machine(groups):
    limit(groups / "a", 4000, 3500)
    limit(groups / "a" / "b", "max", 10)

    assert memory_limit_bytes(groups, member_of(groups, "0::/a/b\n")) == 4000
    assert memory_limit_bytes(groups, groups / "missing") == 9000
