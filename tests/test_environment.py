"""Consistency of the image's pinned requirements with the package's dependencies."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parent.parent


def pinned() -> dict[str, str]:
    lines = (TOP / "environment" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(item.name): str(item.specifier).removeprefix("==") for item in requirements}


def declared() -> list[Requirement]:
    requirements = [Requirement(text) for text in requires("pytorch-designer") or []]
    return [item for item in requirements if item.marker is None or item.name == "azureml-mlflow"]


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_image_pins_each_dependency_within_its_declared_range(requirement: Requirement) -> None:
    version = pinned()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_image_pins_exact_versions_only() -> None:
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned().values())


def test_image_is_built_on_an_azure_ml_gpu_base_image() -> None:
    dockerfile = (TOP / "environment" / "Dockerfile").read_text(encoding="utf-8")
    base = re.search(r"^FROM (\S+)$", dockerfile, re.MULTILINE)
    assert base is not None
    assert base[1].startswith("mcr.microsoft.com/azureml/openmpi")
    assert "cuda" in base[1]
