"""Weights and models of others, made with torchvision and torch alone."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from tests.models import legacy_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def write_legacy_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a ModelDirectory of the old layout; gives its path."""
    return partial(legacy_model.write_legacy_model, tmp_path / "legacy")


@pytest.fixture
def publish(tmp_path: Path) -> Callable[[dict[str, Tensor], str], Path]:
    """Save a state dict as a weight file is published: with the digits of its SHA-256 in its name."""

    def write(state_dict: dict[str, Tensor], stem: str) -> Path:
        folder = tmp_path / "published"
        folder.mkdir(exist_ok=True)
        unnamed = folder / "unnamed"
        torch.save(state_dict, unnamed)
        digits = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]
        return unnamed.rename(folder / f"{stem}-{digits}.pth")

    return write
