"""Assets file: a small YAML file that maps registered names to local files and folders.

    azureml:flowers:3: data/flowers           # one version
    azureml:flowers: data/flowers             # every version, and @latest
    azureml:train_model@latest: ../component.yaml
    azureml://registries/azureml/components/score/versions/2: ../score/component.yaml
    azureml://datastores/store/paths/: data   # all that is below
    azureml://registries/azureml/components/: ../components
    https://example.org/images/: data/images

The keys are data, models and components as a pipeline names them; `azureml:` may be left out. Paths are relative to
the file. A key that ends with a slash stands for everything below it, the longest one first: what comes after it is a
path in the folder, with or without its version. A component NAME is `NAME.yaml`, or `component.yaml`, `spec.yaml` or
`NAME.yaml` in a folder `NAME`. The address of a datastore may name its workspace: only what comes after counts.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytorch_designer.addresses import address_advice
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.system.special_files import resolved, special_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.spec_faults import SpecPlace
    from pytorch_designer.harness.schema.yaml_tree import Value

_PREFIX = "azureml:"
_REMOTE = re.compile(r"(azureml:|git\+|/subscriptions/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
_WORKSPACE = re.compile(
    r"azureml://subscriptions/[^/]+/resourcegroups/[^/]+/(providers/[^/]+/)?workspaces/[^/]+/", re.IGNORECASE
)
_COMPONENT_FILES = ("component", "spec")
_SUFFIXES = (".yaml", ".yml")
_VERSION = re.compile(r"(:[^:/@]+|@[^:/@]+|/versions/[^/]+|/labels/[^/]+)$")


@dataclass(frozen=True)
class Assets:
    """Local copies of registered assets.

    Attributes:
        paths: Absolute local paths by registered name without `azureml:`.
        folders: Absolute local folders by the beginning of a name, which ends with a slash.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)

    def find(self, reference: str, place: SpecPlace) -> Path:
        """The path for a registered name; a name with its version takes precedence.

        Raises:
            UnsupportedLocallyError: There is none for it.
        """
        name = _name(reference)
        for key in (name, _VERSION.sub("", name)):
            if key in self.paths:
                return self.paths[key]
        for prefix in sorted(self.folders, key=len, reverse=True):
            if name.startswith(prefix):
                return _below(self.folders[prefix], name.removeprefix(prefix), reference, place)
        line = f"add a line `{reference}: LOCAL_PATH` to a YAML file and name it with --assets."
        if reference.startswith(_PREFIX) or "://" not in reference:
            raise place.unsupported(f"{reference} is not on this machine.", f"{line[0].upper()}{line[1:]}")
        raise place.unsupported(
            f"{reference} is an address; nothing is fetched for a run on this machine.",
            f"{address_advice(reference)} To leave the pipeline as it is, {line}",
        )


def read_assets(path: Path) -> Assets:
    """Read an assets file.

    Raises:
        InvalidSpecError: It is not a YAML mapping of names to paths, or a path does not exist.
    """
    document = read_yaml(path)
    paths, folders = {}, {}
    for name, value in document.mapping().children.items():
        if not value.has_text_key or value.text is None:
            raise value.key_place.error(f"{name} must be a registered name with a path.")
        target = resolved(document.path.parent / value.text)
        if not target.exists():
            raise value.key_place.error(f"There is no {target}.")
        special = special_kind(target)
        if special is not None:
            raise value.key_place.error(f"{target} is {special}, not a file or folder.")
        if not name.endswith("/"):
            paths[_name(name)] = target
        elif target.is_dir():
            folders[_name(name)] = target
        else:
            raise value.key_place.error(f"{name} ends with a slash and needs a folder; {target} is a file.")
    return Assets(paths, folders)


def is_reference(text: str) -> bool:
    """True if `text` is a registered name or an address, not a local path."""
    return _REMOTE.match(text) is not None


def component_path(component: Value, assets: Assets) -> Path:
    """The file that a `component` names, which need not exist; a registered one is looked for in the assets.

    Raises:
        UnsupportedLocallyError: There is none for a registered one.
    """
    text = (component.text or "").removeprefix("file:")
    return assets.find(text, component.key_place) if is_reference(text) else resolved(component.folder / text)


def _below(folder: Path, rest: str, reference: str, place: SpecPlace) -> Path:
    """The path at `rest` in the folder of a prefix."""
    candidates = list(dict.fromkeys((rest.strip("/"), _VERSION.sub("", rest).strip("/"))))
    for name in candidates:
        if ".." in name.split("/"):
            raise place.error(
                f"{reference} leads out of the folder {folder} of the assets file.", "Correct the address."
            )
        for path in _places(folder, name, is_component="/components/" in reference):
            with suppress(OSError):
                if path.exists():
                    return resolved(path)
    looked_for = " or ".join(str(folder / name) for name in candidates)
    raise place.unsupported(
        f"{reference} is not in the folder of the assets file; there is no {looked_for}.",
        f"Put it there, or add a line `{reference}: LOCAL_PATH` to the assets file.",
    )


def _places(folder: Path, name: str, *, is_component: bool) -> Iterator[Path]:
    if is_component:
        own = name.rpartition("/")[2]
        yield from (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
        yield from (folder / name / f"{file}{suffix}" for file in (*_COMPONENT_FILES, own) for suffix in _SUFFIXES)
    yield folder / name


def _name(reference: str) -> str:
    reference = _WORKSPACE.sub("azureml://", reference)
    return reference if reference.startswith(f"{_PREFIX}//") else reference.removeprefix(_PREFIX)
