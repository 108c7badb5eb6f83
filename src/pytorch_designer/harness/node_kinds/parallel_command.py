"""Parallel job as a command: the program of `mini_batches` beside the job's code, with the settings as its options.

What a parallel node does not say, its component does. The settings are those of
https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel.
"""

from __future__ import annotations

import ast
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytorch_designer.harness.mini_batches
from pytorch_designer.harness.mini_batches.input_splitting import InputError, parse_size
from pytorch_designer.harness.schema.bindings import lone_binding
from pytorch_designer.harness.schema.specification import Resources
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.harness.schema.yaml_tree import Value

_PROGRAM = Path(pytorch_designer.harness.mini_batches.__file__).parent
_T = TypeVar("_T")
_TASKS = ("run_function", "function")
_LEVELS = ("DEBUG", "INFO", "WARNING")


@dataclass(frozen=True)
class ParallelSettings:
    """Settings of a parallel job.

    Attributes:
        entry_script: A file in the code of the task.
        input_data: The input that is split.
        append_row_to: The output that gets what `run()` returns, or None.
        program_arguments: For the entry script, with bindings.
        mini_batch_size: A number of files or a size, or empty.
        partition_keys: Columns of a table.
        max_concurrency: Number of processes per instance.
        options: Options of the program, with their values.
    """

    entry_script: str
    input_data: str
    append_row_to: str | None
    program_arguments: str
    mini_batch_size: str
    partition_keys: tuple[str, ...]
    max_concurrency: int
    options: tuple[tuple[str, str], ...]


def read_parallel(owners: Collection[Value], spec: CommandSpec, faults: FaultCollector) -> ParallelSettings | None:
    """The settings of a parallel job; None if there are faults, which are collected.

    Args:
        owners: The mapping of the node, and that of its component. The first that has a key counts.
        spec: Its ports and its code.
        faults: Gets what is wrong.
    """
    num_faults = len(faults.faults)
    settings = _Settings(tuple(owners), spec)

    def collected(read: Callable[[], _T], default: _T) -> _T:
        found = default
        with faults.collecting():
            found = read()
        return found  # noqa: RET504 (the default, if reading raised)

    task = collected(settings.task, None)
    found = ParallelSettings(
        entry_script=collected(lambda: settings.entry_script(task), ""),
        input_data=collected(settings.input_data, ""),
        append_row_to=collected(lambda: settings.append_row_to(task), None),
        program_arguments=collected(lambda: settings.program_arguments(task), ""),
        mini_batch_size=collected(settings.size, ""),
        partition_keys=collected(settings.partition_keys, ()),
        max_concurrency=collected(lambda: settings.number("max_concurrency_per_instance", 1), None) or 1,
        options=tuple(
            (option, value)
            for option, read in settings.options().items()
            if (value := collected(read, None)) is not None
        ),
    )
    return None if len(faults.faults) > num_faults else found


def parallel_command(spec: CommandSpec, settings: ParallelSettings) -> tuple[CommandSpec, int]:
    """The command that runs a parallel job, and the number of its workers; `spec` says ports, code and instances."""
    num_workers = settings.max_concurrency * spec.resources.instance_count
    words = [
        "python -u -m mini_batches.parallel_run",
        f'--input "${{{{inputs.{settings.input_data}}}}}"',
        f"--input-type {spec.inputs[settings.input_data].type}",
        f"--entry-script {shlex.quote(settings.entry_script)}",
        f"--workers {num_workers}",
        *(f"{name} {shlex.quote(value)}" for name, value in settings.options),
    ]
    if settings.mini_batch_size:
        words.append(f"--mini-batch-size {shlex.quote(settings.mini_batch_size)}")
    if settings.partition_keys:
        words.append(f"--partition-keys {shlex.quote(','.join(settings.partition_keys))}")
    if settings.append_row_to is not None:
        words.append(f'--append-row-to "${{{{outputs.{settings.append_row_to}}}}}"')
        if not spec.outputs[settings.append_row_to].is_file:
            words.append("--append-to-folder")
    words += ["--", settings.program_arguments]
    command = replace(
        spec,
        command=" ".join(words).strip(),
        additional_includes=(*spec.additional_includes, _PROGRAM),
        resources=Resources(shm_size=spec.resources.shm_size),
        distribution=None,
    )
    return command, num_workers


class _Settings:
    """Reader of the settings; every method raises InvalidSpecError where its setting is wrong."""

    def __init__(self, owners: tuple[Value, ...], spec: CommandSpec) -> None:
        self._owners = owners
        self._spec = spec

    def task(self) -> Fields | None:
        task = self._owner("task").fields("task")
        if task is None:
            place = self._owners[0].key_place
            raise place.error("The parallel job has no task.", "Write its code and entry_script at `task`.")
        kind = task.required_text("type").lower()
        if kind == "model":
            raise task.mapping.children["type"].key_place.unsupported(
                "A task of type model cannot run here; only run_function can.",
                "Write an entry script that loads the model.",
            )
        if kind not in _TASKS:
            raise task.mapping.children["type"].place.error(f"The type of the task is {kind}; write run_function.")
        return task

    def entry_script(self, task: Fields | None) -> str:
        if task is None:
            return ""
        name = task.required_text("entry_script")
        code = self._spec.code
        if code is None or code.is_dir():  # else the missing code is reported
            _check_entry_script(name, code, task.mapping.children["entry_script"].place)
        return name

    def input_data(self) -> str:
        owner = self._owner("input_data")
        name = _port(owner, "input_data", "inputs", self._spec.inputs)
        if name is None:
            raise owner.mapping.key_place.error(
                "The parallel job has no input_data.", "Name the input that is split: ${{inputs.NAME}}."
            )
        return name

    def append_row_to(self, task: Fields | None) -> str | None:
        return None if task is None else _port(task, "append_row_to", "outputs", self._spec.outputs)

    def program_arguments(self, task: Fields | None) -> str:
        text = None if task is None else task.text("program_arguments") or task.text("args")
        return " ".join((text or "").split())

    def size(self) -> str:
        owner = self._owner("mini_batch_size")
        text = owner.text("mini_batch_size") or ""
        if text == "0":  # what the SDK writes where none is given, as beside partition keys
            return ""
        try:
            if text:
                parse_size(text)
        except InputError as error:
            raise owner.mapping.children["mini_batch_size"].place.error(str(error)) from error
        return text

    def partition_keys(self) -> tuple[str, ...]:
        return tuple(str(key) for key in self._owner("partition_keys").scalars("partition_keys"))

    def number(self, key: str, minimum: int, owner: Fields | None = None) -> int | None:
        owner = owner or self._owner(key)
        number = owner.number(key)
        if number is not None and (number % 1 != 0 or number < minimum):
            raise owner.mapping.children[key].place.error(
                f"{key} must be a whole number of at least {minimum}, not {number:g}."
            )
        return None if number is None else int(number)

    def options(self) -> dict[str, Callable[[], str | None]]:
        """Readers of the values of the program's options."""
        return {
            "--max-retries": lambda: _text(self._of_retries("max_retries", 0)),
            "--timeout": lambda: _text(self._of_retries("timeout", 1)),
            "--error-threshold": lambda: _text(self.number("error_threshold", -1)),
            "--mini-batch-error-threshold": lambda: _text(self.number("mini_batch_error_threshold", -1)),
            "--logging-level": self._logging_level,
        }

    def _of_retries(self, key: str, minimum: int) -> int | None:
        retries = self._owner("retry_settings").fields("retry_settings")
        return None if retries is None else self.number(key, minimum, retries)

    def _logging_level(self) -> str | None:
        owner = self._owner("logging_level")
        level = owner.text("logging_level")
        if level is None:
            return None
        known = {"WARN": "WARNING"}.get(level.upper(), level.upper())
        if known not in _LEVELS:
            raise owner.mapping.children["logging_level"].place.error(
                f"logging_level is {level}; there are {', '.join(_LEVELS)}."
            )
        return known

    def _owner(self, key: str) -> Fields:
        """The mapping that has a key; the first if none has."""
        return Fields(next((owner for owner in self._owners if owner.get(key) is not None), self._owners[0]))


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _port(owner: Fields, key: str, side: str, ports: Collection[str]) -> str | None:
    """The port that `${{inputs.NAME}}` or `${{outputs.NAME}}` names."""
    text = owner.text(key)
    if text is None:
        return None
    place = owner.mapping.children[key].place
    binding = lone_binding(text)
    if binding is None or binding.parts[:1] != (side,):
        raise place.error(f"{key} is {text!r}.", f"Write ${{{{{side}.NAME}}}}.")
    name = ".".join(binding.parts[1:])
    if name not in ports:
        known = ", ".join(ports) or "none"
        raise place.error(f"{key} names {name}, which is none of the {side}.", f"The {side} are: {known}.")
    return name


def _check_entry_script(name: str, code: Path | None, place: SpecPlace) -> None:
    path = None if code is None else code / name
    if path is None or not path.is_file():
        where = "the task has no code" if code is None else f"there is no {path}"
        raise place.error(f"The entry script {name} does not exist: {where}.")
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise place.error(f"The entry script {path} is not valid Python: {error}.") from error
    if "run" not in _top_level_names(tree):
        raise place.error(f"The entry script {path} has no function run(mini_batch).")


def _top_level_names(tree: ast.Module) -> set[str]:
    """Names that a script may define at its top level; `*` imports may define any, so that `run` counts as there."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add("run" if node.name == "*" else node.asname or node.name)
    return names
