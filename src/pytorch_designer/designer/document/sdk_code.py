"""Python program that builds a pipeline with Azure ML's SDK: the same nodes, bindings and settings as the YAML."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.document.sdk_expressions import (
    SdkImports,
    arguments,
    command_code,
    distribution_code,
    identity_code,
    path_code,
    plain_at,
    refuse_others,
    searched_code,
    sweep_arguments,
    unsayable,
)
from pytorch_designer.harness.lint.pipeline_model import children_at, read_pipeline
from pytorch_designer.harness.node_kinds.disabled_nodes import is_disabled
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, ParentOutput, bindings_in, lone_binding
from pytorch_designer.harness.schema.component_file import Kind, kind_of
from pytorch_designer.harness.schema.vocabulary import CONTROL_FLOW_TYPES

if TYPE_CHECKING:
    from pytorch_designer.harness.lint.documents import Library
    from pytorch_designer.harness.lint.pipeline_model import Node, Pipeline
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument

_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str"}
_DECORATED = ("display_name", "description", "experiment_name", "tags")
_ROOT_KEYS = [
    *("$schema", "type", "name", "inputs", "outputs", "jobs", "settings", "properties", "compute", "identity"),
    *_DECORATED,
]
_SETTINGS = ["default_compute", "default_datastore", "force_rerun", "continue_on_step_failure"]
_TEXTS = ("display_name", "description", "comment", "compute")
_PARALLEL = [
    "error_threshold",
    "logging_level",
    "max_concurrency_per_instance",
    "mini_batch_error_threshold",
    "mini_batch_size",
]
_NODE_KEYS = [
    *("$schema", "type", "component", "inputs", "outputs", *_TEXTS, "environment_variables", "resources", "tags"),
    *("properties", "distribution", "limits", "identity", "queue_settings", *_PARALLEL),
]
_SWEEP_KEYS = [
    *("$schema", "type", "trial", "inputs", "outputs", *_TEXTS, "resources", "tags", "properties", "limits"),
    *("identity", "queue_settings", "search_space", "sampling_algorithm", "objective", "early_termination"),
]
_INLINE_KEYS = ("command", "code", "environment")
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
        raise unsayable(document.root, "Code is written for pipeline jobs with nodes.")
    pipeline = read_pipeline(document.root, library, is_job=True)
    return _Writer(pipeline).program(document.path.name)


class _Writer:
    """Writer of one program, which notes what must be imported."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._root = pipeline.root
        self._imports = SdkImports()
        self._imports.use("pipeline", "azure.ai.ml.dsl")
        self._components: dict[str, tuple[str, str]] = {}
        self._variables = {name: _identifier(name) for name in pipeline.nodes}
        self._needs_client = False
        refuse_others(self._root, _ROOT_KEYS, "The pipeline")
        if (settings := self._root.get("settings")) is not None:
            refuse_others(settings, _SETTINGS, "The settings")
        for name, value in children_at(self._root, "inputs").items():
            if keyword.iskeyword(name) or not name.isidentifier():
                raise unsayable(value, f"The input {name} of the pipeline is no name for an argument in Python.")

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
            *self._imports.lines(),
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
                raise unsayable(self._root, f"The nodes {', '.join(waiting)} wait for each other.")
            ordered += [waiting.pop(name) for name in ready]
        return ordered

    def _node(self, node: Node) -> list[str]:
        is_sweep = node.type_name == "sweep"
        if node.type_name in CONTROL_FLOW_TYPES:
            message = f"The node {node.name} is of type {node.type_name}, for which the SDK has no public function."
            raise unsayable(node.value, message)
        if node.type_name not in {"command", "pipeline", "parallel", "sweep"}:
            raise unsayable(node.value, f"The node {node.name} is of type {node.type_name}: write it by hand.")
        known = _SWEEP_KEYS if is_sweep else [*_NODE_KEYS, *(_INLINE_KEYS if node.is_inline else ())]
        refuse_others(node.value, known, f"The node {node.name}")
        variable = self._variables[node.name]
        given = {name: self._given(value) for name, value in node.inputs.items()}
        if is_sweep:
            space = children_at(node.value, "search_space")
            given |= {name: searched_code(value, self._imports) for name, value in space.items()}
        if any(keyword.iskeyword(name) or not name.isidentifier() for name in given):
            raise unsayable(node.value, f"An input of {node.name} is no name for an argument in Python.")
        call = self._component(node)
        inputs = [f"    {name}={written}," for name, written in given.items()]
        made = f"{variable}_trial" if is_sweep else variable
        while is_sweep and made in self._variables.values():
            made += "_"
        lines = ["# Disabled on the designer page; what this code builds runs it."] if is_disabled(node.value) else []
        lines += [f"{made} = {call}(", *inputs, ")"] if inputs else [f"{made} = {call}()"]
        if is_sweep:
            sweep = sweep_arguments(node.value, self._imports)
            lines.append(f"{variable} = {made}.sweep({', '.join(f'{key}={fact}' for key, fact in sweep.items())})")
        if variable != node.name:
            lines.append(f"{variable}.name = {node.name!r}")
        for key in _TEXTS:
            value = _without_prefix(plain_at(node.value, key)) if key == "compute" else plain_at(node.value, key)
            lines += [] if value is None else [f"{variable}.{key} = {value!r}"]
        lines += self._run_settings(variable, node.value)
        for port, entry in node.outputs.items():
            mode = plain_at(entry, "mode")
            lines += [] if mode is None else [f"{variable}.outputs.{port}.mode = {mode!r}"]
        return lines

    def _run_settings(self, variable: str, node: Value) -> list[str]:
        lines = []
        for key in ("environment_variables", "resources", "properties", "tags", *_PARALLEL):
            value = plain_at(node, key)
            lines += [f"{variable}.{key} = {value!r}"] if value else []
        if (distribution := node.get("distribution")) is not None:
            lines.append(f"{variable}.distribution = {distribution_code(distribution, self._imports)}")
        if (identity := node.get("identity")) is not None:
            lines.append(f"{variable}.identity = {identity_code(identity, self._imports)}")
        if (queue := plain_at(node, "queue_settings")) is not None:
            made = self._imports.use("QueueSettings", "azure.ai.ml.entities")
            lines.append(f"{variable}.queue_settings = {made}({arguments(queue)})")
        limits = plain_at(node, "limits")
        if limits and node.get("trial") is not None:
            lines.append(f"{variable}.set_limits({arguments(limits)})")
        elif limits:
            made = self._imports.use("CommandJobLimits", "azure.ai.ml.entities")
            lines.append(f"{variable}.limits = {made}({arguments(limits)})")
        return lines

    def _component(self, node: Node) -> str:
        written = node.value.get(node.component_key)
        if written is None or written.text is None:
            return self._inline_component(node)
        text = written.text.removeprefix("file:")
        if text not in self._components:
            stem = _identifier(re.sub(r"\W+", "_", text.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")))
            self._components[text] = self._free_variable(stem), self._load(text, written)
        return self._components[text][0]

    def _inline_component(self, node: Node) -> str:
        """The function of a command that is written in its node."""
        written = node.value.get(node.component_key)
        if node.interface is None or node.type_name not in {"command", "sweep"}:
            raise unsayable(node.value, f"The node {node.name} has no component file; put its steps into one.")
        variable = self._free_variable(node.name)
        ports = {("inputs", name): value for name, value in node.inputs.items()}
        ports |= {("outputs", name): value for name, value in node.outputs.items()}
        types = {port: self._type_of(value) for port, value in ports.items()}
        code = command_code(written or node.value, node.interface, types, self._imports, is_node=written is None)
        self._components[f"command of {node.name}"] = variable, code
        return variable

    def _type_of(self, value: Value) -> str:
        """The type of what a port is bound to; empty where it is not known."""
        binding = lone_binding(str(value.plain if value.is_scalar else plain_at(value, "path")))
        match None if binding is None else binding.reference:
            case ParentInput(name) if name in self._pipeline.interface.inputs:
                return self._pipeline.interface.inputs[name].type
            case ParentOutput(name) if name in self._pipeline.interface.outputs:
                return self._pipeline.interface.outputs[name].type
            case NodePort(node, port, is_output=True) if node in self._pipeline.nodes:
                interface = self._pipeline.nodes[node].interface
                return interface.outputs[port].type if interface is not None and port in interface.outputs else ""
        return ""

    def _free_variable(self, stem: str) -> str:
        taken = {variable for variable, _ in self._components.values()} | {*self._variables.values()}
        variable, number = f"{stem}_component", 1
        while variable in taken:
            number += 1
            variable = f"{stem}_component_{number}"
        return variable

    def _load(self, text: str, place: Value) -> str:
        if not is_reference(text):
            return f"{self._imports.use('load_component')}(HERE / {text!r})"
        match = _REGISTERED.fullmatch(text)
        if match is None:
            raise unsayable(place, f"{text} is not the name of a component in the workspace.")
        self._needs_client = True
        self._imports.use("MLClient")
        self._imports.use("DefaultAzureCredential", "azure.identity")
        version = f", version={match['version']!r}" if match["version"] else ""
        label = f", label={match['label']!r}" if match["label"] else ""
        return f"CLIENT.components.get({match['name']!r}{version}{label})"

    def _given(self, value: Value) -> str:
        """Value or binding of an input, as a Python expression."""
        if value.is_mapping and value.get("path") is None:
            inner = value.get("value")
            if inner is None:
                raise unsayable(value, "Groups of inputs are not written as code.")
            return self._given(inner)
        if value.is_mapping:
            path = value.children["path"]
            if bindings_in(str(path.plain)):
                return self._given(path)
            facts: dict[str, Any] = {
                key: value.children[key].plain for key in ("type", "mode") if key in value.children
            }
            self._imports.use("Input")
            return f"Input({arguments(facts)}{', ' if facts else ''}path={path_code(str(path.plain))})"
        text = value.text
        if text is None or not bindings_in(text):
            return repr(value.plain)
        binding = lone_binding(text)
        match None if binding is None else binding.reference:
            case ParentInput(name) if "." not in name:
                return name
            case NodePort(node, port, is_output) if node in self._variables:
                return f"{self._variables[node]}.{'outputs' if is_output else 'inputs'}.{port}"
        raise unsayable(value, f"{text} is not written as code.")

    def _annotation(self, name: str) -> str:
        kind = _TYPES.get(self._pipeline.interface.inputs[name].type)
        if kind is None:
            self._imports.use("Input")
        return kind or "Input"

    def _returned(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for node in self._pipeline.nodes.values():
            for port, entry in node.outputs.items():
                target = entry.text or str(plain_at(entry, "path") or plain_at(entry, "value") or "")
                binding = lone_binding(target)
                if binding is not None and isinstance(binding.reference, ParentOutput):
                    found[binding.reference.name] = f"{self._variables[node.name]}.outputs.{port}"
        return found

    def _decoration(self) -> str:
        facts = {key: value for key in _DECORATED if (value := plain_at(self._root, key)) is not None}
        for key in ("default_compute", "default_datastore"):
            value = _without_prefix(plain_at(self._root, "settings", key))
            facts |= {} if value is None else {key: value}
        return arguments(facts)

    def _settings(self) -> list[str]:
        lines = []
        for key in ("force_rerun", "continue_on_step_failure"):
            value = plain_at(self._root, "settings", key)
            lines += [] if value is None else [f"job.settings.{key} = {value!r}"]
        for key in ("name", "compute", "properties"):
            value = plain_at(self._root, key)
            value = _without_prefix(value) if key == "compute" else value
            lines += [] if value is None else [f"job.{key} = {value!r}"]
        if (identity := self._root.get("identity")) is not None:
            lines.append(f"job.identity = {identity_code(identity, self._imports)}")
        for name, entry in children_at(self._root, "outputs").items():
            for key in ("mode", "path"):
                value = plain_at(entry, key) if entry.is_mapping else None
                if value is not None:
                    written = path_code(str(value)) if key == "path" else repr(value)
                    lines.append(f"job.outputs[{name!r}].{key} = {written}")
        return lines


def _needs(node: Node) -> set[str]:
    return {
        binding.reference.node
        for value in node.inputs.values()
        for text in value.texts()
        for binding in bindings_in(text.text or "")
        if isinstance(binding.reference, NodePort) and binding.reference.node != node.name
    }


def _without_prefix(name: Any) -> Any:
    """The name of a compute or datastore, which only YAML marks as one of the workspace."""
    return name.removeprefix("azureml:") if isinstance(name, str) else name


def _identifier(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or name in {"pipeline", "job", "load_component"} else name
