"""Findings of the linter on a file that `run` is about to run, as lines of its header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.spec_faults import distinct_faults
from pytorch_designer.shown_text import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.harness.schema.spec_faults import SpecFault


def warning_lines(warnings: Iterable[SpecFault]) -> list[str]:
    """A line per warning, by place; one that the linter and the plan have both found is shown once."""
    return [on_one_line(f"Warning     {fault}") for fault in distinct_faults(warnings)]
