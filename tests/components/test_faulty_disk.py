"""Changes to the disk and reads that fail in turn, in every component (CASES 11, 14).

A share of the campaign `make faulty-disk`, which makes each of them fail; see tests/campaigns/faulty_disk.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaigns.component_cases import CASES, without_tracking, write_case_inputs
from tests.campaigns.faulty_disk import ComponentProcess, FaultyDisk, component_process, sweep
from tests.harness.fault_injection.availability import needs_system_call_watch

pytestmark = [needs_system_call_watch, pytest.mark.slow]

# Coprime with the ten or so changes that each file and each checkpoint takes, so that all kinds have their turn.
STRIDES = {"train_pytorch_model": 59, "image_model": 7}
DEFAULT_STRIDE = 11
READ_STRIDES = {"train_pytorch_model": 29}
DEFAULT_READ_STRIDE = 7


@dataclass(frozen=True)
class Workshop:
    top: Path
    process: ComponentProcess
    disk: FaultyDisk


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    top = tmp_path_factory.mktemp("faulty_disk").resolve()
    with without_tracking():
        write_case_inputs(top / "inputs")
    disk = FaultyDisk(top / "inputs")
    with component_process(disk) as process:
        yield Workshop(top, process, disk)


@pytest.mark.slow
@pytest.mark.parametrize("component", [name for name in CASES if name not in {"densenet", "resnet"}])
def test_a_failing_disk_never_leaves_a_half_output(workshop: Workshop, component: str) -> None:
    stride = STRIDES.get(component, DEFAULT_STRIDE)
    found = sweep(workshop.process, workshop.disk, component, workshop.top, stride=stride, reads=False)
    assert found.faults == []
    assert found.num_failed > 0


@pytest.mark.slow
@pytest.mark.parametrize("component", ["train_pytorch_model", "split_image_directory", "score_image_model"])
def test_a_stumbling_mount_never_ends_in_a_traceback(workshop: Workshop, component: str) -> None:
    stride = READ_STRIDES.get(component, DEFAULT_READ_STRIDE)
    found = sweep(workshop.process, workshop.disk, component, workshop.top, stride=stride, changes=False)
    assert found.faults == []
    assert found.num_unharmed > 0, "a read that fails once is tried again"
    assert found.num_failed > 0, "one that fails for good is named"
