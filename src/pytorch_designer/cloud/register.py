"""Registers components in a workspace or registry."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.cloud.cloud_errors import named_faults, named_load_faults
from pytorch_designer.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Component

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registration:
    """A component that is registered now.

    Attributes:
        path: Its YAML file.
        name: Its name.
        version: The version that it got.
    """

    path: Path
    name: str
    version: str


def component_files(repository: Path) -> list[Path]:
    """The YAML files of all components of a checkout of this project.

    Raises:
        InvalidSpecError: The folder has none.
    """
    top = repository / "component.yaml"
    paths = [path for path in (top, *sorted((repository / "components").glob("*.yaml"))) if path.is_file()]
    if not paths:
        raise InvalidSpecError(
            "There are no component files beside the installed package.",
            where=repository,
            advice="Name the files, or run from a checkout that was installed with `pip install -e .`.",
        )
    return paths


def register(
    client: MLClient, paths: Iterable[Path], *, version: str | None = None, target: object = "Azure ML"
) -> list[Registration]:
    """Register components: their code and environment are uploaded, then the component is created.

    All files are read before anything is sent, so that a bad one registers nothing.

    Args:
        client: A client of the workspace or registry.
        paths: YAML files of components.
        version: The version for all of them; None takes each file's own.
        target: What the client is of, for messages.

    Raises:
        InvalidSpecError: A file is no component that azure-ai-ml takes.
        CloudError: Azure refused, or could not be reached.
    """
    components = _load(paths)
    registered = []
    for path, component in components:
        with named_faults(f"register {component.name}", where=target):
            created = client.components.create_or_update(component, version=version)
        registered.append(Registration(path, created.name, str(created.version)))
        _logger.info("Registered %s, version %s, in %s.", created.name, created.version, target)
    return registered


def _load(paths: Iterable[Path]) -> Sequence[tuple[Path, Component]]:
    from azure.ai.ml import load_component

    components = []
    for path in paths:
        with named_load_faults(path):
            components.append((path, load_component(path)))
    return components
