"""Agreement of the processes before each step: they stop, save and fail at the same one."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.distributed.world import World


@dataclass(frozen=True)
class ProcessReport:
    """Report of one process to the others before a step.

    Attributes:
        num_images: Images of its part of the batch, or of the images it has scored since the last report.
        num_bad_files: Bad files that it has found and the others do not know.
        signal_number: The signal that told it to stop; 0 for none.
        is_checkpoint_due: Whether it is time for a checkpoint, by its clock.
        has_failed: Whether a named error ends it.
    """

    num_images: int = 0
    num_bad_files: int = 0
    signal_number: int = 0
    is_checkpoint_due: bool = False
    has_failed: bool = False


@dataclass(frozen=True)
class Agreement:
    """Sum of the reports of all processes; the same in each.

    Attributes:
        num_images: Images of all of them.
        has_bad_files: Whether one has found bad files that the others do not know.
        signal_number: The signal that told one of them to stop; 0 for none.
        is_checkpoint_due: Whether it is time for a checkpoint, by the clock of the first process.
        has_failed: Whether a named error ends one of them.
    """

    num_images: int
    has_bad_files: bool
    signal_number: int
    is_checkpoint_due: bool
    has_failed: bool


def agree(world: World, report: ProcessReport) -> Agreement:
    """Tell the others, and wait for what they tell."""
    reports = world.start_exchange([int(value) for value in astuple(report)]).wait()
    return _conclude([ProcessReport(*_typed(numbers)) for numbers in reports])


def _typed(numbers: Sequence[int]) -> tuple[int, int, int, bool, bool]:
    num_images, num_bad_files, signal_number, is_due, has_failed = numbers
    return num_images, num_bad_files, signal_number, bool(is_due), bool(has_failed)


def _conclude(reports: Sequence[ProcessReport]) -> Agreement:
    return Agreement(
        num_images=sum(report.num_images for report in reports),
        has_bad_files=any(report.num_bad_files for report in reports),
        signal_number=next((report.signal_number for report in reports if report.signal_number), 0),
        is_checkpoint_due=reports[0].is_checkpoint_due,
        has_failed=any(report.has_failed for report in reports),
    )
