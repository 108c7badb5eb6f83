"""Expressions of Azure ML's SDK for parts of a YAML: commands, environments, distributions, identities, searches.

Each function refuses what the SDK has no public class for, by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.pipeline_model import children_at
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.vocabulary import PARAMETER_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.specification import Interface
    from pytorch_designer.harness.schema.yaml_tree import Value

_DISTRIBUTIONS = {"pytorch": "PyTorchDistribution", "mpi": "MpiDistribution", "tensorflow": "TensorFlowDistribution"}
_IDENTITIES = {
    "managed": "ManagedIdentityConfiguration",
    "managed_identity": "ManagedIdentityConfiguration",
    "user_identity": "UserIdentityConfiguration",
    "aml_token": "AmlTokenConfiguration",
}
_SAMPLING = {
    "random": "RandomSamplingAlgorithm",
    "grid": "GridSamplingAlgorithm",
    "bayesian": "BayesianSamplingAlgorithm",
}
_STOPPING = {
    "bandit": "BanditPolicy",
    "median_stopping": "MedianStoppingPolicy",
    "truncation_selection": "TruncationSelectionPolicy",
}
_SEARCHED = {
    "choice": "Choice",
    "randint": "Randint",
    "uniform": "Uniform",
    "quniform": "QUniform",
    "normal": "Normal",
    "loguniform": "LogUniform",
    "qloguniform": "QLogUniform",
    "qnormal": "QNormal",
    "lognormal": "LogNormal",
    "qlognormal": "QLogNormal",
}
_DESCRIBED = ("name", "version", "display_name", "description", "tags", "command", "is_deterministic")
_COMMAND_KEYS = [
    *("$schema", "type", *_DESCRIBED, "code", "environment", "inputs", "outputs", "distribution"),
    "environment_variables",
]


class SdkImports:
    """Names of the SDK that a program uses, by module."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def use(self, name: str, module: str = "azure.ai.ml") -> str:
        """The name, which the program then imports."""
        self._names.setdefault(module, set()).add(name)
        return name

    def lines(self) -> list[str]:
        """The import lines."""
        return [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(self._names.items())]


def command_code(
    inner: Value, interface: Interface, types: Mapping[tuple[str, str], str], imports: SdkImports, *, is_node: bool
) -> str:
    """A call of `command`, which makes a component of what a node says itself.

    Args:
        inner: The mapping with the command.
        interface: Its ports.
        types: Types of ports that have none of their own, by `inputs` or `outputs` and name.
        imports: Where names are noted.
        is_node: Whether the mapping is the node, whose other facts are set on the node.
    """
    if not is_node:
        refuse_others(inner, _COMMAND_KEYS, "The command")
    if inner.get("command") is None:
        raise unsayable(inner, "Only commands are written as code, not this kind of component.")
    facts: dict[str, str] = {}
    for key in ("command",) if is_node else _DESCRIBED:
        value = plain_at(inner, key)
        facts |= {} if value is None else {key: repr(value)}
    if (code := plain_at(inner, "code")) is not None:
        facts["code"] = path_code(str(code))
    if (environment := inner.get("environment")) is not None:
        facts["environment"] = environment_code(environment, imports)
    if not is_node and (variables := plain_at(inner, "environment_variables")) is not None:
        facts["environment_variables"] = repr(variables)
    if not is_node and (distribution := inner.get("distribution")) is not None:
        facts["distribution"] = distribution_code(distribution, imports)
    declared = children_at(inner, "inputs")
    inputs = [
        f"{name!r}: {_input_code(declared.get(name), port.type or types.get(('inputs', name), ''), imports)}"
        for name, port in interface.inputs.items()
    ]
    outputs = [
        f"{name!r}: {imports.use('Output')}(type={port.type or types.get(('outputs', name)) or 'uri_folder'!r})"
        for name, port in interface.outputs.items()
    ]
    facts |= {"inputs": f"{{{', '.join(inputs)}}}"} if inputs else {}
    facts |= {"outputs": f"{{{', '.join(outputs)}}}"} if outputs else {}
    return f"{imports.use('command')}({', '.join(f'{key}={written}' for key, written in facts.items())})"


def environment_code(value: Value, imports: SdkImports) -> str:
    """A registered environment, or one that is described."""
    if not value.is_mapping:
        return repr(value.plain)
    refuse_others(
        value, ("$schema", "name", "version", "image", "conda_file", "build", "description"), "The environment"
    )
    facts = {key: repr(found) for key in ("name", "version", "image", "description") if (found := plain_at(value, key))}
    conda = plain_at(value, "conda_file")
    if conda is not None:
        facts["conda_file"] = path_code(conda) if isinstance(conda, str) else repr(conda)
    build = value.get("build")
    if build is not None:
        imports.use("BuildContext", "azure.ai.ml.entities")
        dockerfile = plain_at(build, "dockerfile_path")
        more = "" if dockerfile is None else f", dockerfile_path={dockerfile!r}"
        facts["build"] = f"BuildContext(path={path_code(str(plain_at(build, 'path')))}{more})"
    imports.use("Environment", "azure.ai.ml.entities")
    return f"Environment({', '.join(f'{key}={written}' for key, written in facts.items())})"


def distribution_code(value: Value, imports: SdkImports) -> str:
    """A distribution of processes."""
    return _typed_code(value, _DISTRIBUTIONS, "distribution", "azure.ai.ml", imports)


def identity_code(value: Value, imports: SdkImports) -> str:
    """The identity that a job has."""
    return _typed_code(value, _IDENTITIES, "identity", "azure.ai.ml.entities", imports)


def sweep_arguments(node: Value, imports: SdkImports) -> dict[str, str]:
    """Arguments of `sweep`: objective, sampling and early termination."""
    facts = {key: repr(plain_at(node, "objective", key)) for key in ("primary_metric", "goal")}
    sampling = node.get("sampling_algorithm")
    if sampling is not None:
        facts["sampling_algorithm"] = (
            _typed_code(sampling, _SAMPLING, "sampling algorithm", "azure.ai.ml.sweep", imports)
            if sampling.is_mapping
            else repr(sampling.plain)
        )
    stopping = node.get("early_termination")
    if stopping is not None:
        facts["early_termination_policy"] = _typed_code(
            stopping, _STOPPING, "early termination", "azure.ai.ml.sweep", imports
        )
    return facts


def searched_code(value: Value, imports: SdkImports) -> str:
    """One dimension of a search."""
    return _typed_code(value, _SEARCHED, "distribution of a search", "azure.ai.ml.sweep", imports)


def refuse_others(value: Value, known: tuple[str, ...] | list[str], what: str) -> None:
    """Refuse a mapping with other keys.

    Raises:
        InvalidSpecError: It has some (reason "no_code").
    """
    others = [key for key in value.children if key not in known]
    if others:
        raise unsayable(value.children[others[0]], f"{what} has {', '.join(others)}, which is not written as code.")


def path_code(path: str) -> str:
    """A path beside the program; that of the workspace, or an absolute one, stays."""
    return repr(path) if is_reference(path) or path.startswith("/") else f"str(HERE / {path!r})"


def plain_at(value: Value, *keys: str) -> Any:
    """The plain data at keys, or None."""
    found = value.get(*keys)
    return None if found is None else found.plain


def arguments(facts: Mapping[str, Any]) -> str:
    """Plain data as arguments of a call."""
    return ", ".join(f"{key}={value!r}" for key, value in facts.items())


def unsayable(value: Value, message: str) -> InvalidSpecError:
    """Error for a setting that has no equivalent in SDK code, to be raised."""
    return InvalidSpecError(
        message,
        where=str(value.key_place),
        advice="Load the file instead: `azure.ai.ml.load_job`.",
        reason="no_code",
    )


def _typed_code(value: Value, classes: Mapping[str, str], what: str, module: str, imports: SdkImports) -> str:
    plain = value.plain if value.is_mapping else {}
    name = classes.get(str(plain.get("type", "")).lower())
    if name is None:
        raise unsayable(value, f"The SDK has no class for this {what}.")
    imports.use(name, module)
    return f"{name}({arguments({key: fact for key, fact in plain.items() if key != 'type'})})"


def _input_code(declared: Value | None, kind: str, imports: SdkImports) -> str:
    facts: dict[str, Any] = {"type": kind or "uri_folder"}
    if declared is not None and declared.is_mapping and kind in PARAMETER_TYPES:
        facts |= {
            key: found for key in ("default", "min", "max", "enum") if (found := plain_at(declared, key)) is not None
        }
    if declared is not None and declared.is_mapping and plain_at(declared, "optional") is not None:
        facts["optional"] = plain_at(declared, "optional")
    return f"{imports.use('Input')}({arguments(facts)})"
