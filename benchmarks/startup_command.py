"""The command `pytorch-designer`, ended at its first training step; run by benchmarks/startup.py.

    python startup_command.py train-pytorch-model --untrained-model ...

The imports of the command stay as they are: the step is replaced when its module is imported.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, NoReturn

from startup_report import report_and_end

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

STEP_MODULE = "pytorch_designer.training.steps.step"


class StepFinder(MetaPathFinder):
    """Finds the module of the training step, and nothing else."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own specification, with another loader."""
        spec = PathFinder.find_spec(fullname, path) if fullname == STEP_MODULE else None
        if spec is not None and spec.origin is not None:
            spec.loader = StepLoader(fullname, spec.origin)
        return spec


class StepLoader(SourceFileLoader):
    """Loads the module and replaces its step, whose arguments hold the first batch, read and decoded."""

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        super().exec_module(module)
        assert hasattr(module.ImmediateStepper, "step")
        module.ImmediateStepper.step = end_here


def end_here(*_arguments: object, **_keywords: object) -> NoReturn:
    """Replaces the first step."""
    report_and_end()


if __name__ == "__main__":
    sys.meta_path.insert(0, StepFinder())
    from pytorch_designer.cli.main import main

    sys.exit(main())
