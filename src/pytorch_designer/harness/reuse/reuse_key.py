"""Reuse key: one hash of everything that the result of a job depends on.

It covers the content of the code snapshot and of the inputs, the command, the parameters, the environment and its
files, the node's environment variables, the outputs' types and modes, the number of processes and nodes, and the
versions of Python and of the installed packages. It does not cover the caller's environment variables, the paths of
inputs and outputs, and the size of /dev/shm.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.environments.job_python import OWN_PYTHON, JobPython, about_python
from pytorch_designer.harness.reuse.file_trees import content_hash, list_tree
from pytorch_designer.harness.schema.values import render_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.specification import CommandSpec, InputValue

_FORMAT = 1
_METADATA = (".dist-info", ".egg-info")


@dataclass(frozen=True)
class KeyParts:
    """Parts of a key, which is their hash, so that two keys can be compared.

    Attributes:
        content: What is hashed.
        data_inputs: The names of the inputs whose value is a content hash.
        code_files: The content hash of each file of the code.
    """

    content: Mapping[str, Any]
    data_inputs: tuple[str, ...]
    code_files: Mapping[str, str]

    @property
    def key(self) -> str:
        """The key."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True, default=str).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """The parts as plain data to be kept. Values of environment variables may be secrets: only their hashes are."""
        variables = self.content["environment_variables"]
        hashes = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in variables.items()}
        content = {**self.content, "environment_variables": hashes}
        plain = {"content": content, "data_inputs": self.data_inputs, "code_files": self.code_files}
        found: dict[str, Any] = json.loads(json.dumps(plain, default=str))
        return found


def key_parts(
    spec: CommandSpec,
    *,
    code: str,
    code_files: Mapping[str, str],
    inputs: Mapping[str, InputValue],
    contents: Mapping[str, str],
    environment_variables: Mapping[str, str],
    python: JobPython = OWN_PYTHON,
) -> KeyParts:
    """The parts of a job's key.

    Args:
        spec: What it runs.
        code: Hash of the code snapshot.
        code_files: The hash of each of its files.
        inputs: The checked values of its inputs.
        contents: The content hash of each data input.
        environment_variables: Those of the node.
        python: The Python of jobs.

    Raises:
        OSError: A file that the environment names cannot be read.
        DesignerError: The environment is to be built, and cannot be.
    """
    built = python.environment_key(spec)
    content = {
        "format": _FORMAT,
        "command": spec.command,
        "code": code,
        "environment": _environment(spec),
        "machine": _machine(python.executable) if built is None else [built, platform.machine(), platform.system()],
        "inputs": {name: contents.get(name) or render_value(value) for name, value in inputs.items()},
        "outputs": {name: (port.type, port.mode) for name, port in spec.outputs.items()},
        "environment_variables": dict(environment_variables),
        "distribution": None if spec.distribution is None else spec.distribution.type,
        "processes": (spec.num_processes, spec.resources.instance_count),
    }
    return KeyParts(content, tuple(contents), dict(code_files))


def _environment(spec: CommandSpec) -> Any:
    """The environment with the contents of the files that it names; `azureml:` in front of a name does not matter."""
    value = spec.environment
    if isinstance(value, str):
        return value.removeprefix("azureml:")
    if not isinstance(value, dict):
        return value
    resolved = dict(value)
    for key in ("conda_file", "build"):
        named = value.get(key)
        path = named.get("path") if key == "build" and isinstance(named, dict) else named
        if isinstance(path, str) and (spec.folder / path).exists():
            resolved[key] = content_hash(list_tree(spec.folder / path))
    return resolved


@lru_cache(maxsize=8)
def _machine(python: Path | None) -> list[str]:
    """The Python that jobs run with. Reading each package's metadata would take a second; their folders say enough."""
    about: dict[str, Any] = {
        "version": sys.version,
        "machine": platform.machine(),
        "system": platform.system(),
        "path": sys.path,
    }
    if python is not None:
        about |= about_python(python)
    packages = set()
    for entry in about["path"]:
        if entry and Path(entry).is_dir():
            packages |= {name for name in os.listdir(entry) if name.endswith(_METADATA)}  # noqa: PTH208 (much faster)
    return [about["version"], about["machine"], about["system"], *sorted(packages)]
