"""Registered names as local files and folders, which a small YAML file maps.

    azureml:flowers:3: data/flowers           # one version
    azureml:flowers: data/flowers             # every version, and @latest
    azureml:train_model@latest: ../component.yaml
    azureml://registries/azureml/components/score/versions/2: ../score/component.yaml

The keys are data, models and components as a pipeline names them; `azureml:` may be left out. Paths are relative to
the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.schema.yaml_document import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PREFIX = "azureml:"
_REMOTE = re.compile(r"(azureml:|git\+|/subscriptions/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
_VERSION = re.compile(r"(:[^:/@]+|@[^:/@]+|/versions/[^/]+|/labels/[^/]+)$")


@dataclass(frozen=True)
class Assets:
    """Local paths, absolute, by registered name without `azureml:`."""

    paths: Mapping[str, Path] = field(default_factory=dict)

    def find(self, reference: str, where: str) -> Path:
        """The path for a registered name; a name with its version goes before one without.

        Raises:
            UnsupportedLocallyError: There is none for it.
        """
        name = _name(reference)
        for key in (name, _VERSION.sub("", name)):
            if key in self.paths:
                return self.paths[key]
        raise UnsupportedLocallyError(
            f"{reference} is not on this machine.",
            where=where,
            advice=f"Add a line `{reference}: LOCAL_PATH` to a YAML file and name it with --assets.",
        )


def read_assets(path: Path) -> Assets:
    """Read an assets file.

    Raises:
        InvalidSpecError: It is no YAML mapping of names to paths, or a path does not exist.
    """
    document = read_yaml(path)
    paths = {}
    for name, value in document.data.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidSpecError(f"{name} must be a registered name with a path.", where=document.where(name))
        target = (document.path.parent / value).resolve()
        if not target.exists():
            raise InvalidSpecError(f"There is no {target}.", where=document.where(name))
        paths[_name(name)] = target
    return Assets(paths)


def is_reference(text: str) -> bool:
    """Whether `text` is a registered name or an address, and not a local path."""
    return _REMOTE.match(text) is not None


def _name(reference: str) -> str:
    return reference if reference.startswith(f"{_PREFIX}//") else reference.removeprefix(_PREFIX)
