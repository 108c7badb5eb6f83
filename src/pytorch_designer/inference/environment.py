"""What a run's header and report say about the machine and the versions."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import torch
import torchvision

from pytorch_designer import __version__

if TYPE_CHECKING:
    from pytorch_designer.inference.compute import ComputePlan


def environment_facts(plan: ComputePlan) -> dict[str, str]:
    """Versions and hardware, by label. Environment variables are never among them: they hold secrets."""
    versions = f"pytorch-designer {__version__}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    return {"Versions": f"{versions}, Python {platform.python_version()}", "Device": plan.describe()}
