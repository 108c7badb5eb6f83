"""Code that travels with a model: all that serving needs and no more; a model can be loaded with it alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import pytorch_designer
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.mlflow_files import LOADER_MODULE, MLFLOW_ENTRIES, REQUIREMENTS
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.models.traveling_code import traveling_files

PACKAGE = Path(pytorch_designer.__file__).parent
MOST_BYTES = 500_000
TOO_LARGE = ("pyarrow", "matplotlib", "sklearn", "azure", "jinja2", "rich")
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml", "pydantic_settings": "pydantic-settings"}
OPTIONAL = {"timm"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models with the same weights, written one after the other."""
    network = build_network(Architecture("squeezenet1_1"), 2)
    folders = [tmp_path_factory.mktemp("model") for _ in range(2)]
    for folder in folders:
        write_trained_model(
            folder,
            architecture=Architecture("squeezenet1_1"),
            state_dict=network.state_dict(),
            classes=("cat", "dog"),
            preprocessing=Preprocessing(resize_size=None, crop_height=32, crop_width=32),
        )
    return folders


def imported_libraries() -> set[str]:
    """The libraries that any import statement of the traveling modules names, those for type checkers left out."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
        for child in ast.iter_child_nodes(node):
            visit(child)

    for file in traveling_files(LOADER_MODULE):
        if file != PACKAGE / "__init__.py":  # whose lazy names are those of the whole package
            visit(ast.parse(file.read_text(encoding="utf-8")))
    return names - sys.stdlib_module_names - {"pytorch_designer"}


def test_code_is_small_and_needs_no_large_library() -> None:
    files = traveling_files(LOADER_MODULE)
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert imported_libraries().isdisjoint(TOO_LARGE)
    rooms = {file.relative_to(PACKAGE).parts[0] for file in files}
    assert rooms.isdisjoint({"cli", "components", "harness", "training", "evaluation", "tracking", "reporting"})


def test_requirements_are_what_the_code_imports_at_the_versions_of_this_process(models: list[Path]) -> None:
    wanted = {DISTRIBUTIONS.get(name, name) for name in imported_libraries()} - OPTIONAL
    assert wanted == set(REQUIREMENTS)
    lines = (models[0] / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines)
    assert set(REQUIREMENTS) <= pinned.keys() <= {*REQUIREMENTS, "pillow-heif"}
    assert all(release == version(name).split("+")[0] for name, release in pinned.items())


def test_conda_environment_is_the_same_with_azures_server(models: list[Path]) -> None:
    conda = yaml.safe_load((models[0] / "conda.yaml").read_text(encoding="utf-8"))
    python, pip, packages = conda["dependencies"]
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (python, pip) == (f"python={minor}", "pip")
    lines = (models[0] / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(lines) - set(packages["pip"]) == {f"pydantic=={version('pydantic')}"}
    assert set(packages["pip"]) - set(lines) == {"pydantic>=2.10,<3", "azureml-inference-server-http"}
    assert yaml.safe_load((models[0] / "python_env.yaml").read_text(encoding="utf-8"))["python"] == minor


def test_nothing_names_this_project_as_a_package(models: list[Path]) -> None:
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml"):
        assert "pytorch-designer" not in (models[0] / name).read_text(encoding="utf-8")


def test_equal_models_have_equal_bytes(models: list[Path]) -> None:
    first, second = (
        {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
        for model in models
    )
    assert first == second
    assert {name.partition("/")[0] for name in first} >= set(MLFLOW_ENTRIES)


@pytest.mark.slow
def test_model_is_loaded_with_the_code_that_it_brings_and_with_nothing_else(models: list[Path], tmp_path: Path) -> None:
    """In a process that has imported nothing of this project, from another folder; with MLflow's own functions."""
    program = f"""
import json, sys, warnings
warnings.simplefilter("ignore")
import mlflow.pyfunc
from mlflow.models import Model, ModelSignature
assert not [name for name in sys.modules if name.startswith("pytorch_designer")]
model = mlflow.pyfunc.load_model({str(models[0])!r})
scored = model.predict(model.input_example)
modules = [module for name, module in sys.modules.items() if name.startswith("pytorch_designer")]
meta = Model.load({str(models[0])!r})
print(json.dumps({{
    "files": sorted({{module.__file__ for module in modules}}),
    "columns": scored.columns.tolist(), "rows": len(scored),
    "serving_input": json.loads(meta.get_serving_input({str(models[0])!r})),
    "params": [param.name for param in meta.get_params_schema().params],
    "large": sorted({{name.partition(".")[0] for name in sys.modules}} & {{"matplotlib", "jinja2"}}),
}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert all(file.startswith(str(models[0] / "code")) for file in told["files"])
    assert told["columns"] == ["Scored Probabilities_cat", "Scored Probabilities_dog", "Scored Labels"]
    assert told["rows"] == 1
    assert told["serving_input"]["dataframe_split"]["columns"] == ["image"]
    assert told["params"] == ["top_k", "on_error"]
