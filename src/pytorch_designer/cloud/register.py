"""Registration of components in a workspace or registry."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.cloud.cloud_errors import named_faults, named_load_faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Component

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registration:
    """A registered component.

    Attributes:
        path: Its YAML file.
        name: Its name.
        version: Its registered version.
    """

    path: Path
    name: str
    version: str


def register(
    client: MLClient, paths: Iterable[Path], *, version: str | None = None, target: object = "Azure ML"
) -> list[Registration]:
    """Register components: upload code and environment, then create the component.

    All files are read before anything is sent, so that nothing is registered if one of them is invalid.

    Args:
        client: A client of the workspace or registry.
        paths: YAML files of components.
        version: The version of all of them; None uses the version in each file.
        target: The workspace or registry, for messages.

    Raises:
        InvalidSpecError: azure-ai-ml does not accept a file as a component.
        CloudError: Azure refused the request, or could not be reached.
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
