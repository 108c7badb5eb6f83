"""Python and packages that a job's environment asks for, out of a conda file, a Dockerfile or an asset.

    environment: azureml:NAME:1                       the YAML file that the assets file names, one of the following
    environment: {image: ..., conda_file: env.yaml}   the file, or its mapping; packages of pip, and of conda
    environment: {build: {path: folder}}              what the Dockerfile installs with pip, or its conda file

An image alone says nothing of its packages. What else a Dockerfile does (`apt-get`, files that it copies) is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.environments.dockerfile import read_dockerfile
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytorch_designer.harness.schema.assets import Assets
    from pytorch_designer.harness.schema.specification import CommandSpec

_PYTHON = re.compile(r"python\s*(?:[=~<>!]+\s*([\d.]+).*)?", re.IGNORECASE)
_OF_PIP = frozenset({"pip", "setuptools", "wheel"})
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_INCLUDED = re.compile(r"^(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)")
_OWN_ADVICE = "Leave `--environments` out, or name a Python that has the packages with --python."
_MAX_FILES = 100


@dataclass(frozen=True)
class EnvironmentSource:
    """Python and packages of an environment.

    Attributes:
        label: What messages call it.
        folder: Where relative paths in the requirements start from.
        python_version: The version that it asks for, such as `3.10`, or None.
        requirements: Lines of a requirements file.
        conda_packages: Packages of conda apart from Python and pip.
        conda_file: Text of the conda file, or None.
    """

    label: str
    folder: Path
    python_version: str | None = None
    requirements: tuple[str, ...] = ()
    conda_packages: tuple[str, ...] = ()
    conda_file: str | None = None

    @property
    def key(self) -> str:
        """Hash of all that it asks for, with the content of the files that its requirements name.

        Raises:
            InvalidSpecError: One of them cannot be read.
        """
        contents = [hashlib.sha256(data).hexdigest() for data in _named_files(self)]
        parts = (self.python_version, self.requirements, self.conda_file, contents)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def environment_source(spec: CommandSpec, assets: Assets) -> EnvironmentSource | None:
    """Python and packages of the environment of a job; None where it names none.

    Raises:
        UnsupportedLocallyError: It does not say which packages it has.
        InvalidSpecError: A file that it names cannot be read.
    """
    value, folder, place = environment_mapping(spec, assets)
    if value is None:
        return None
    conda, build = value.get("conda_file"), value.get("build")
    if conda:
        return _of_conda(conda, folder, place)
    if isinstance(build, dict) and build.get("path"):
        context = folder / str(build["path"])
        return _of_context(context, context / str(build.get("dockerfile_path") or "Dockerfile"), place)
    raise place.unsupported(f"{spec.name}: an image alone does not say which packages it has.", _OWN_ADVICE)


def environment_mapping(spec: CommandSpec, assets: Assets) -> tuple[dict[str, Any] | None, Path, SpecPlace]:
    """The mapping of a job's environment, None where it names none; with the folder of its paths, and its place.

    Raises:
        UnsupportedLocallyError: A registered name is not in the assets file.
        InvalidSpecError: It cannot be read.
    """
    value, folder = spec.environment, spec.folder
    place = SpecPlace(str(spec.source), keys=("environment",))
    if isinstance(value, str) and value:
        path = assets.find(value, place)
        value, folder = read_yaml(path).root.plain, path.parent
        place = SpecPlace(str(path))
    if value is None or value == "":
        return None, folder, place
    if not isinstance(value, dict):
        raise place.error("The environment is neither a name nor a mapping.")
    return value, folder, place


def _of_conda(value: Any, folder: Path, place: SpecPlace) -> EnvironmentSource:
    if isinstance(value, str):
        path = folder / value
        value, folder = read_yaml(path).root.plain, path.parent
        place = SpecPlace(str(path))
    dependencies = value.get("dependencies") if isinstance(value, dict) else None
    if not isinstance(dependencies, list):
        raise place.error("The conda file has no list of dependencies.")
    python, conda, pip = None, [], []
    for item in dependencies:
        if isinstance(item, dict):
            pip += [str(line) for line in item.get("pip") or ()]
            continue
        package = str(item).rpartition("::")[2].strip()
        name = _NAME.match(package)
        if name is not None and name[0].lower() == "python":
            python = _PYTHON.fullmatch(package)
        elif name is not None and name[0].lower() not in _OF_PIP:
            conda.append(package)
    version = None if python is None or python[1] is None else python[1].rstrip(".")
    text = json.dumps(value)  # YAML, too
    lines = tuple(line.strip() for line in pip if line.strip())
    return EnvironmentSource(place.file, folder.absolute(), version, lines, tuple(conda), text)


def _of_context(context: Path, dockerfile: Path, place: SpecPlace) -> EnvironmentSource:
    found = read_dockerfile(dockerfile, context, place)
    if found.conda_file is not None:
        return _of_conda(str(found.conda_file), context, place)
    if not found.requirements:
        raise SpecPlace(str(dockerfile)).unsupported("The Dockerfile installs nothing with pip or conda.", _OWN_ADVICE)
    return EnvironmentSource(str(dockerfile), context.absolute(), found.python_version, found.requirements)


def _named_files(source: EnvironmentSource) -> Iterator[bytes]:
    """The contents of the files that requirements name: other requirements with theirs, and packages."""
    waiting = [(line, source.folder) for line in source.requirements]
    num_files = 0
    while waiting:
        line, base = waiting.pop()
        included = _INCLUDED.match(line)
        path = base / (line.split(" #")[0].strip() if included is None else included[1])
        if included is None and ("://" in line or not path.is_file()):
            continue
        num_files += 1
        try:
            data = read_regular(path)
        except OSError as error:
            raise SpecPlace(source.label).error(f"{path} cannot be read: {error.strerror}.") from error
        yield data
        if included is not None and num_files < _MAX_FILES:
            waiting += [(inner.strip(), path.parent) for inner in data.decode("utf-8", "replace").splitlines()]
