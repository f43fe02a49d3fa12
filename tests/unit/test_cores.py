"""Cores: affinity and the quotas of control groups, version 1 and 2."""

import os
from pathlib import Path

import pytest

from shared.cores import count_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def member_of(folder: Path, text: str) -> Path:
    membership = folder / "membership"
    membership.write_text(text)
    return membership


def test_without_control_groups_the_affinity_counts(groups: Path) -> None:
    assert count_cores(groups, groups / "missing") == 8


@pytest.mark.parametrize(("quota", "cores"), [("250000", 2), ("50000", 1), ("max", 8), ("1600000", 8)])
def test_version_2_quota_in_whole_cores(groups: Path, quota: str, cores: int) -> None:
    # 250,000 µs of every 100,000 µs are 2.5 cores.
    (groups / "cpu.max").write_text(f"{quota} 100000\n")
    assert count_cores(groups, member_of(groups, "0::/\n")) == cores


def test_the_smallest_quota_of_a_group_and_those_above_it_holds(groups: Path) -> None:
    (groups / "a" / "b").mkdir(parents=True)
    (groups / "a" / "cpu.max").write_text("300000 100000\n")
    (groups / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert count_cores(groups, member_of(groups, "0::/a/b\n")) == 3


def test_version_1_quota(groups: Path) -> None:
    group = groups / "cpu" / "docker"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text("400000\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert count_cores(groups, member_of(groups, "4:cpu,cpuacct:/docker\n2:memory:/docker\n")) == 4


def test_version_1_without_quota(groups: Path) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert count_cores(groups, member_of(groups, "4:cpu:/\n")) == 8
