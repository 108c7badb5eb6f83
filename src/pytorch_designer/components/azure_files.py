"""The components as Azure ML takes them: their YAML files, their environment and their code, in one folder.

    component.yaml          Train PyTorch Model
    components/*.yaml       its neighbors
    environment/            the image: Dockerfile and pinned requirements
    src/pytorch_designer/   the code snapshot: this package, as it is installed

A checkout has all of them. An installed package makes the first two from the definitions, and carries the third.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pytorch_designer import __version__
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.components.train_pytorch_model import COMPONENT as TRAIN_PYTORCH_MODEL
from pytorch_designer.spec.azure_yaml import component_yaml
from pytorch_designer.storage.output import write_atomically

_PACKAGE = Path(__file__).parents[1]
_ENVIRONMENT = Path(__file__).parent / "environment"


def component_texts() -> dict[str, str]:
    """The text of each component's YAML file, by its path in the folder; Train PyTorch Model first."""
    others = [component for component in COMPONENTS.values() if component is not TRAIN_PYTORCH_MODEL]
    return {"component.yaml": component_yaml(TRAIN_PYTORCH_MODEL, version=__version__, root=".")} | {
        f"components/{component.name}.yaml": component_yaml(component, version=__version__, root="..")
        for component in others
    }


def environment_texts() -> dict[str, str]:
    """The text of each file of the environment, by its path in the folder."""
    return {f"environment/{path.name}": path.read_text(encoding="utf-8") for path in sorted(_ENVIRONMENT.iterdir())}


def project_texts() -> dict[str, str]:
    """The YAML text of each component for a folder that holds its code and environment, too, by its name."""
    texts = {name: component_yaml(component, version=__version__, root=".") for name, component in COMPONENTS.items()}
    return {name: text.split("\n", 1)[1] for name, text in texts.items()}  # without the line for developers


def write_project_components(folder: Path) -> None:
    """Write all components with their environment and code into one folder; files that are there stay as they are.

    Raises:
        OSError: A file cannot be written.
    """
    components = {f"{name}.yaml": text for name, text in project_texts().items()}
    for name, text in (components | environment_texts()).items():
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text.encode())
    code = folder / "src" / _PACKAGE.name
    if not code.exists():
        copied = code.with_name(f".{_PACKAGE.name}.partial")
        shutil.rmtree(copied, ignore_errors=True)
        _copy_code(copied)
        copied.rename(code)


def write_azure_files(folder: Path) -> list[Path]:
    """Write all components with their environment and code into an empty folder.

    Returns:
        The YAML files of the components.

    Raises:
        OSError: A file cannot be written.
    """
    components = component_texts()
    for name, text in (components | environment_texts()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    _copy_code(folder / "src" / _PACKAGE.name)
    return [folder / name for name in components]


def _copy_code(target: Path) -> None:
    """Copy this package, without the page of the designer, which no component needs."""

    def ignored(folder: str, names: list[str]) -> set[str]:
        is_page = Path(folder) == _PACKAGE / "designer"
        return {name for name in names if name == "__pycache__" or (is_page and name == "static")}

    shutil.copytree(_PACKAGE, target, ignore=ignored, copy_function=shutil.copyfile)
