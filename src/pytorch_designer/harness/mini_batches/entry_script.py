"""Worker of a parallel job: loads the entry script, calls `init()` once and `run()` for each mini-batch.

A script may import `EntryScript` from `azureml_user.parallel_run`, which Azure ML offers to it: its `logger`,
`working_dir` and `logs_dir` are there.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import logging
import pickle
import sys
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from .input_splitting import MiniBatch

_NAME = "entry_script_of_parallel_job"


def work(connection: Connection, script: str, arguments: list[str], logging_level: str) -> None:
    """Serve mini-batches until the connection closes.

    Sent are `("ready",)` or `("unusable", traceback)`, then for each mini-batch `("done", number of results, rows)` or
    `("failed", traceback)`.
    """
    logging.basicConfig(level=logging_level)
    try:
        module = _load(script, arguments)
        if hasattr(module, "init"):
            module.init()
        takes_context = _takes_context(module.run)
    except BaseException:  # noqa: BLE001 - somebody's script, which may call sys.exit too
        connection.send(("unusable", traceback.format_exc()))
        return
    connection.send(("ready",))
    while True:
        try:
            batch = connection.recv()
        except (EOFError, OSError):
            break
        if batch is None:
            break
        connection.send(_outcome(module, batch, takes_context=takes_context))
    if hasattr(module, "shutdown"):
        module.shutdown()


def _load(script: str, arguments: list[str]) -> Any:
    path = Path(script).absolute()
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    _offer_azureml_user()
    spec = importlib.util.spec_from_file_location(_NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "run", None)):
        raise TypeError(f"{path} has no function run(mini_batch)")
    return module


def _offer_azureml_user() -> None:
    class EntryScript:
        def __init__(self) -> None:
            self.logger = logging.getLogger("entry_script")
            self.working_dir = str(Path.cwd())
            self.logs_dir = str(Path("logs").absolute())
            Path(self.logs_dir).mkdir(parents=True, exist_ok=True)

    package, module = ModuleType("azureml_user"), ModuleType("azureml_user.parallel_run")
    vars(module)["EntryScript"] = EntryScript
    vars(package)["parallel_run"] = module
    sys.modules.setdefault("azureml_user", package)
    sys.modules.setdefault("azureml_user.parallel_run", module)


def _takes_context(run: Any) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kinds = [parameter.kind for parameter in inspect.signature(run).parameters.values()]
    return sum(kind in positional for kind in kinds) > 1


def _outcome(module: Any, batch: MiniBatch, *, takes_context: bool) -> tuple[Any, ...]:
    try:
        content = batch.files
        if batch.table is not None:
            with Path(batch.table).open("rb") as stream:
                content = pickle.load(stream)  # noqa: S301 - our own, a moment ago
        context = SimpleNamespace(
            minibatch_index=batch.index,
            mini_batch_id=batch.index,
            partition_key_value=batch.partition or None,
        )
        result = module.run(content, context) if takes_context else module.run(content)
        return ("done", *_rows(result))
    except BaseException as error:  # noqa: BLE001 - somebody's script, which may call sys.exit too
        trace = error.__traceback__
        below = trace.tb_next if trace is not None else None  # without the frame of this function
        return ("failed", "".join(traceback.format_exception(type(error), error, below)).rstrip())


def _rows(result: Any) -> tuple[int, str]:
    """The number of results, and each as a line."""
    if hasattr(result, "to_csv") and hasattr(result, "columns"):
        text = io.StringIO()
        result.to_csv(text, sep=" ", header=False, index=False)
        return len(result), text.getvalue()
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__len__") or not hasattr(result, "__iter__"):
        raise TypeError(f"run() returned a {type(result).__name__}; it must return a list, an array or a DataFrame")
    return len(result), "".join(f"{item}\n" for item in result)
