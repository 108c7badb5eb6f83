"""The root of the package: lazy, typed, and complete."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer.api.library_calls import RuntimeOptions
from pytorch_designer.settings import Settings

TOP = Path(__file__).parent.parent
HEAVY = ("torch", "pandas", "numpy", "pydantic", "mlflow", "matplotlib", "IPython", "yaml", "PIL")
NOT_FOR_CALLS = {"device", "precision", "tracking", "processes", "join_seconds"}
NOT_FOR_CALLS |= {"reuse_cache", "reuse_cache_bytes", "error_info", "traceback"}


def run(program: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_else(tmp_path: Path) -> None:
    program = (
        "import sys; before = set(sys.modules); import pytorch_designer; dir(pytorch_designer)\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before} - {'pytorch_designer'}\n"
        f"print(sorted(loaded - set(sys.stdlib_module_names)), [name for name in {HEAVY} if name in sys.modules])"
    )
    assert run(program, tmp_path) == "[] []"


@pytest.mark.slow
def test_functions_can_be_imported_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from pytorch_designer import *\n"
        "print(train.__name__, [name for name in ('torch', 'mlflow', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    assert run(program, tmp_path) == "train []"


@pytest.mark.parametrize("name", pytorch_designer.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(pytorch_designer, name)
    assert name in dir(pytorch_designer)
    if inspect.isfunction(value):
        arguments = set(inspect.signature(value).parameters)
        documented = {line.strip().partition(":")[0] for line in (value.__doc__ or "").splitlines()}
        assert arguments <= documented
        assert "Raises:" in (value.__doc__ or "")


def test_there_are_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        getattr(pytorch_designer, "trian")  # noqa: B009 - a type checker knows as well


def test_every_setting_that_a_call_can_have_is_an_option() -> None:
    assert set(RuntimeOptions.__annotations__) == set(Settings.model_fields) - NOT_FOR_CALLS


@pytest.mark.slow
def test_programs_that_use_it_are_type_checked() -> None:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/api/user_program.py"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
