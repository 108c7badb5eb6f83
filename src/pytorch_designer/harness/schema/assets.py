"""Assets file: a small YAML file that maps registered names to local files and folders.

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

from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.system.special_files import special_kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.spec_faults import SpecPlace

_PREFIX = "azureml:"
_REMOTE = re.compile(r"(azureml:|git\+|/subscriptions/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
_VERSION = re.compile(r"(:[^:/@]+|@[^:/@]+|/versions/[^/]+|/labels/[^/]+)$")


@dataclass(frozen=True)
class Assets:
    """Absolute local paths by registered name without `azureml:`."""

    paths: Mapping[str, Path] = field(default_factory=dict)

    def find(self, reference: str, place: SpecPlace) -> Path:
        """The path for a registered name; a name with its version takes precedence.

        Raises:
            UnsupportedLocallyError: There is none for it.
        """
        name = _name(reference)
        for key in (name, _VERSION.sub("", name)):
            if key in self.paths:
                return self.paths[key]
        raise place.unsupported(
            f"{reference} is not on this machine.",
            f"Add a line `{reference}: LOCAL_PATH` to a YAML file and name it with --assets.",
        )


def read_assets(path: Path) -> Assets:
    """Read an assets file.

    Raises:
        InvalidSpecError: It is not a YAML mapping of names to paths, or a path does not exist.
    """
    document = read_yaml(path)
    paths = {}
    for name, value in document.mapping().children.items():
        if not value.has_text_key or value.text is None:
            raise value.key_place.error(f"{name} must be a registered name with a path.")
        target = (document.path.parent / value.text).resolve()
        if not target.exists():
            raise value.key_place.error(f"There is no {target}.")
        special = special_kind(target)
        if special is not None:
            raise value.key_place.error(f"{target} is {special}, not a file or folder.")
        paths[_name(name)] = target
    return Assets(paths)


def is_reference(text: str) -> bool:
    """Whether `text` is a registered name or an address, not a local path."""
    return _REMOTE.match(text) is not None


def _name(reference: str) -> str:
    return reference if reference.startswith(f"{_PREFIX}//") else reference.removeprefix(_PREFIX)
