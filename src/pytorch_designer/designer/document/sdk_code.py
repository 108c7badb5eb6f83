"""Python program that builds a pipeline with Azure ML's SDK: the same nodes, bindings and settings as the YAML."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.pipeline_model import children_at, read_pipeline
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, ParentOutput, bindings_in, lone_binding
from pytorch_designer.harness.schema.component_file import Kind, kind_of

if TYPE_CHECKING:
    from pytorch_designer.harness.lint.documents import Library
    from pytorch_designer.harness.lint.pipeline_model import Node, Pipeline
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument

_DISTRIBUTIONS = {"pytorch": "PyTorchDistribution", "mpi": "MpiDistribution", "tensorflow": "TensorFlowDistribution"}
_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
_DECORATED = ("display_name", "description", "experiment_name", "tags")
_TEXTS = ("display_name", "description", "comment", "compute")
_REGISTERED = re.compile(r"azureml:(?P<name>[^:@/]+)(:(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")


def pipeline_code(document: YamlDocument, library: Library) -> str:
    """The program; its paths start from its own folder, which should be that of the pipeline.

    Args:
        document: A pipeline job.
        library: Component files.

    Raises:
        InvalidSpecError: It has something that the SDK's pipeline functions cannot say (reason "no_code").
    """
    if kind_of(document.mapping()) is not Kind.PIPELINE_JOB or "jobs" not in document.root.children:
        raise _unsayable(document.root, "Code is written for pipeline jobs with nodes.")
    pipeline = read_pipeline(document.root, library, is_job=True)
    return _Writer(pipeline).program(document.path.name)


class _Writer:
    """Writer of one program, which notes what must be imported."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._root = pipeline.root
        self._imports: dict[str, set[str]] = {"azure.ai.ml": {"load_component"}, "azure.ai.ml.dsl": {"pipeline"}}
        self._components: dict[str, tuple[str, str]] = {}
        self._variables = {name: _identifier(name) for name in pipeline.nodes}
        self._needs_client = False
        for name, value in children_at(self._root, "inputs").items():
            if keyword.iskeyword(name) or not name.isidentifier():
                raise _unsayable(value, f"The input {name} of the pipeline is no name for an argument in Python.")

    def program(self, file: str) -> str:
        body = [line for node in self._in_order() for line in self._node(node)]
        outputs = self._returned()
        inputs = children_at(self._root, "inputs")
        arguments = ", ".join(f"{name}: {self._annotation(name)}" for name in inputs)
        call = [f"    {name}={self._given(value)}," for name, value in inputs.items()]
        settings = self._settings()
        lines = [
            f'"""The pipeline of {file}, built with the Python SDK of Azure ML."""',
            "",
            "from pathlib import Path",
            "",
            *self._import_lines(),
            "",
            "HERE = Path(__file__).resolve().parent",
            *(["CLIENT = MLClient.from_config(DefaultAzureCredential())"] if self._needs_client else []),
            *(f"{variable} = {load}" for variable, load in self._components.values()),
            "",
            "",
            f"@pipeline({self._decoration()})",
            f"def build_pipeline({arguments}):",
            "    # The names of these variables become the names of the nodes.",
            *(f"    {line}" for line in body),
            f"    return {{{', '.join(f'{name!r}: {source}' for name, source in outputs.items())}}}",
            "",
            "",
            *(["job = build_pipeline(", *call, ")"] if call else ["job = build_pipeline()"]),
            *settings,
        ]
        return "\n".join(lines) + "\n"

    def _in_order(self) -> list[Node]:
        """The nodes, each after those that it takes something from."""
        waiting = dict(self._pipeline.nodes)
        ordered: list[Node] = []
        while waiting:
            ready = [name for name, node in waiting.items() if not _needs(node) & waiting.keys()]
            if not ready:
                raise _unsayable(self._root, f"The nodes {', '.join(waiting)} wait for each other.")
            ordered += [waiting.pop(name) for name in ready]
        return ordered

    def _node(self, node: Node) -> list[str]:
        if node.type_name not in {"command", "pipeline", "parallel"}:
            raise _unsayable(node.value, f"The node {node.name} is of type {node.type_name}: write it by hand.")
        variable = self._variables[node.name]
        inputs = [f"    {name}={self._given(value)}," for name, value in node.inputs.items()]
        if any(keyword.iskeyword(name) or not name.isidentifier() for name in node.inputs):
            raise _unsayable(node.value, f"An input of {node.name} is no name for an argument in Python.")
        call = self._component(node)
        lines = [f"{variable} = {call}(", *inputs, ")"] if inputs else [f"{variable} = {call}()"]
        if variable != node.name:
            lines.append(f"{variable}.name = {node.name!r}")
        for key in _TEXTS:
            value = _without_prefix(_plain(node.value, key)) if key == "compute" else _plain(node.value, key)
            lines += [] if value is None else [f"{variable}.{key} = {value!r}"]
        lines += self._run_settings(variable, node.value)
        for port, entry in node.outputs.items():
            mode = _plain(entry, "mode")
            lines += [] if mode is None else [f"{variable}.outputs.{port}.mode = {mode!r}"]
        return lines

    def _run_settings(self, variable: str, node: Value) -> list[str]:
        lines = []
        for key in ("environment_variables", "resources", "properties"):
            value = _plain(node, key)
            lines += [f"{variable}.{key} = {value!r}"] if value else []
        distribution = _plain(node, "distribution")
        if isinstance(distribution, dict):
            kind = _DISTRIBUTIONS.get(str(distribution.get("type", "")).lower())
            if kind is None:
                raise _unsayable(node.children["distribution"], "The SDK has no class for this distribution.")
            self._imports["azure.ai.ml"].add(kind)
            others = {key: value for key, value in distribution.items() if key != "type"}
            lines.append(f"{variable}.distribution = {kind}({_arguments(others)})")
        timeout = _plain(node, "limits")
        if isinstance(timeout, dict) and "timeout" in timeout:
            self._imports.setdefault("azure.ai.ml.entities", set()).add("CommandJobLimits")
            lines.append(f"{variable}.limits = CommandJobLimits(timeout={timeout['timeout']!r})")
        return lines

    def _component(self, node: Node) -> str:
        written = node.value.get("component")
        if written is None or written.text is None:
            raise _unsayable(node.value, f"The node {node.name} has no component file; put its command into one.")
        text = written.text.removeprefix("file:")
        if text not in self._components:
            stem = _identifier(re.sub(r"\W+", "_", text.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")))
            taken = {variable for variable, _ in self._components.values()} | {*self._variables.values()}
            variable, number = f"{stem}_component", 1
            while variable in taken:
                number += 1
                variable = f"{stem}_component_{number}"
            self._components[text] = variable, self._load(text, written)
        return self._components[text][0]

    def _load(self, text: str, place: Value) -> str:
        if not is_reference(text):
            return f"load_component(HERE / {text!r})"
        match = _REGISTERED.fullmatch(text)
        if match is None:
            raise _unsayable(place, f"{text} is not the name of a component in the workspace.")
        self._needs_client = True
        version = f", version={match['version']!r}" if match["version"] else ""
        label = f", label={match['label']!r}" if match["label"] else ""
        return f"CLIENT.components.get({match['name']!r}{version}{label})"

    def _given(self, value: Value) -> str:
        """What an input is given, as an expression."""
        if value.is_mapping and value.get("path") is None:
            inner = value.get("value")
            if inner is None:
                raise _unsayable(value, "Groups of inputs are not written as code.")
            return self._given(inner)
        if value.is_mapping:
            path = value.children["path"]
            if bindings_in(str(path.plain)):
                return self._given(path)
            facts: dict[str, Any] = {
                key: value.children[key].plain for key in ("type", "mode") if key in value.children
            }
            self._imports["azure.ai.ml"].add("Input")
            return f"Input({_arguments(facts)}{', ' if facts else ''}path={_path(str(path.plain))})"
        text = value.text
        if text is None or not bindings_in(text):
            return repr(value.plain)
        binding = lone_binding(text)
        match None if binding is None else binding.reference:
            case ParentInput(name) if "." not in name:
                return name
            case NodePort(node, port, is_output) if node in self._variables:
                return f"{self._variables[node]}.{'outputs' if is_output else 'inputs'}.{port}"
        raise _unsayable(value, f"{text} is not written as code.")

    def _annotation(self, name: str) -> str:
        kind = _TYPES.get(self._pipeline.interface.inputs[name].type)
        if kind is None:
            self._imports["azure.ai.ml"].add("Input")
        return kind or "Input"

    def _returned(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in self._pipeline.nodes.values():
            for port, entry in node.outputs.items():
                target = entry.text or str(_plain(entry, "path") or _plain(entry, "value") or "")
                binding = lone_binding(target)
                if binding is not None and isinstance(binding.reference, ParentOutput):
                    found[binding.reference.name] = f"{self._variables[node.name]}.outputs.{port}"
        return found

    def _decoration(self) -> str:
        facts = {key: value for key in _DECORATED if (value := _plain(self._root, key)) is not None}
        for key in ("default_compute", "default_datastore"):
            value = _without_prefix(_plain(self._root, "settings", key))
            facts |= {} if value is None else {key: value}
        return _arguments(facts)

    def _settings(self) -> list[str]:
        lines = []
        for key in ("force_rerun", "continue_on_step_failure"):
            value = _plain(self._root, "settings", key)
            lines += [] if value is None else [f"job.settings.{key} = {value!r}"]
        for name, entry in children_at(self._root, "outputs").items():
            for key in ("mode", "path"):
                value = _plain(entry, key) if entry.is_mapping else None
                if value is not None:
                    written = _path(str(value)) if key == "path" else repr(value)
                    lines.append(f"job.outputs[{name!r}].{key} = {written}")
        return lines

    def _import_lines(self) -> list[str]:
        imports = {module: set(names) for module, names in self._imports.items()}
        if self._needs_client:
            imports["azure.ai.ml"].add("MLClient")
            imports["azure.identity"] = {"DefaultAzureCredential"}
        return [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(imports.items())]


def _needs(node: Node) -> set[str]:
    return {
        binding.reference.node
        for value in node.inputs.values()
        for text in value.texts()
        for binding in bindings_in(text.text or "")
        if isinstance(binding.reference, NodePort) and binding.reference.node != node.name
    }


def _path(path: str) -> str:
    return repr(path) if is_reference(path) or path.startswith("/") else f"str(HERE / {path!r})"


def _plain(value: Value, *keys: str) -> Any:
    found = value.get(*keys)
    return None if found is None else found.plain


def _without_prefix(name: Any) -> Any:
    """The name of a compute or datastore, which only YAML marks as one of the workspace."""
    return name.removeprefix("azureml:") if isinstance(name, str) else name


def _arguments(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in facts.items())


def _identifier(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name in {"pipeline", "job", "load_component"} else name


def _unsayable(value: Value, message: str) -> InvalidSpecError:
    return InvalidSpecError(
        message,
        where=str(value.key_place),
        advice="Load the file instead: `azure.ai.ml.load_job`.",
        reason="no_code",
    )
