"""Shares of a container, read from control groups written as the kernel writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytorch_designer.system import resources

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n", encoding="utf-8")
    return root


MACHINE = {"proc/meminfo": f"MemTotal: 99999999 kB\nMemAvailable:    {64 * GIB // 1024} kB"}


def test_without_control_groups_the_machine_counts(tmp_path: Path) -> None:
    write(tmp_path, MACHINE)
    assert resources.available_memory_bytes(root=tmp_path) == 64 * GIB
    assert resources.usable_cores(root=tmp_path) >= 1


def test_version_2_group_limits_memory_and_dropped_file_copies_are_free(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/jobs/one",
        "sys/fs/cgroup/jobs/one/memory.max": "max",
        "sys/fs/cgroup/jobs/one/memory.current": str(GIB),
        "sys/fs/cgroup/jobs/memory.max": str(8 * GIB),
        "sys/fs/cgroup/jobs/memory.current": str(5 * GIB),
        "sys/fs/cgroup/jobs/memory.stat": f"anon 5\ninactive_file {2 * GIB}",
    }
    assert resources.available_memory_bytes(root=write(tmp_path, MACHINE | files)) == 5 * GIB


def test_version_1_group_seen_from_inside_its_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/0123\n2:cpu,cpuacct:/docker/0123",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(4 * GIB),
        "sys/fs/cgroup/memory/memory.usage_in_bytes": str(GIB),
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    }
    write(tmp_path, MACHINE | files)
    assert resources.available_memory_bytes(root=tmp_path) == 3 * GIB
    assert resources.usable_cores(root=tmp_path) == 1


@pytest.mark.parametrize(("quota", "num_cores"), [("100000 100000", 1), ("50000 100000", 1)])
def test_version_2_quota_limits_cores_to_at_least_one(quota: str, num_cores: int, tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": quota})
    assert resources.usable_cores(root=tmp_path) == num_cores


def test_unlimited_quota_leaves_the_cores_of_the_machine(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"})
    assert resources.usable_cores(root=tmp_path) == resources.usable_cores(root=tmp_path / "nothing")


def test_a_group_over_its_limit_has_no_memory_left(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": "1000",
        "sys/fs/cgroup/memory.current": "1001",
    }
    assert resources.available_memory_bytes(root=write(tmp_path, MACHINE | files)) == 0


def test_a_limit_on_the_address_space_limits_memory(tmp_path: Path) -> None:
    files = {
        "proc/self/limits": "Limit Soft Hard Units\n"
        f"Max address space         {6 * GIB}           unlimited            bytes",
        "proc/self/status": f"Name: python\nVmSize:  {4 * GIB // 1024} kB",
    }
    write(tmp_path, MACHINE | files)
    assert resources.address_space_limit(root=tmp_path) == 6 * GIB
    assert resources.available_memory_bytes(root=tmp_path) == 2 * GIB


def test_an_unlimited_address_space_does_not(tmp_path: Path) -> None:
    write(tmp_path, MACHINE | {"proc/self/limits": "Max address space  unlimited  unlimited  bytes"})
    assert resources.address_space_limit(root=tmp_path) is None
    assert resources.available_memory_bytes(root=tmp_path) == 64 * GIB
