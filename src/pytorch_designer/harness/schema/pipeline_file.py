"""Pipeline YAML files (schemas pipelineJob and pipelineComponent, SDK v2) as `PipelineSpec`; command jobs too.

Component files are found at the paths in it, which are relative to its folder, and registered components through the
assets file. All faults are collected and raised at once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, shorten
from pytorch_designer.harness.schema.assets import Assets, component_path, is_reference
from pytorch_designer.harness.schema.bindings import is_binding, parse_output
from pytorch_designer.harness.schema.component_file import (
    Kind,
    command_at,
    command_spec,
    inline_command,
    inline_parallel,
    is_pipeline,
    is_sweep_job,
    kind_of,
    parallel_at,
    type_of,
)
from pytorch_designer.harness.schema.interface import given_value, read_input, read_output
from pytorch_designer.harness.schema.pipeline_size import check_size
from pytorch_designer.harness.schema.pipeline_specification import (
    COMMAND_JOB_NODE,
    Given,
    NodeSpec,
    PipelineSettings,
    PipelineSpec,
    inferred_input,
    one_node_pipeline,
)
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec, OutputSpec
from pytorch_designer.harness.schema.vocabulary import CONTROL_KINDS, NODE_KINDS
from pytorch_designer.harness.schema.yaml_fields import Fields
from pytorch_designer.harness.schema.yaml_tree import OpenedFiles, Value, YamlDocument, read_yaml
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FOLDER = "uri_folder"


def read_pipeline(path: Path, assets: Assets | None = None) -> PipelineSpec:
    """Read the pipeline job, pipeline component or command job in the YAML file `path`.

    Raises:
        InvalidSpecError: The file, or one that it names, is missing or not usable.
        UnsupportedLocallyError: It needs what cannot run on this machine: another kind of node, or a registered
            component that `assets` does not have.
    """
    return pipeline_spec(read_yaml(path), assets)


def pipeline_spec(
    document: YamlDocument, assets: Assets | None = None, open_file: Callable[[Path], YamlDocument] = read_yaml
) -> PipelineSpec:
    """The pipeline in a YAML document, or the one node of a sweep job; raises as `read_pipeline` does.

    Args:
        document: The document.
        assets: Where registered components are.
        open_file: Opens a component file. Each is opened and read once.
    """
    faults = FaultCollector()
    opened = OpenedFiles(open_file)
    check_size(document.mapping(), partial(_open_component, assets or Assets(), opened))
    reader = _Reader(assets or Assets(), faults, opened)
    if is_sweep_job(document):
        spec = reader.sweep_job(document)
    elif kind_of(document.root) is Kind.COMMAND_JOB:
        spec = reader.command_job(document)
    else:
        spec = reader.pipeline(document)
    faults.raise_any(SpecPlace(str(document.path)))
    return spec


def read_component_file(path: Path, assets: Assets) -> CommandSpec | PipelineSpec:
    """Read a command, parallel or pipeline component; raises as `read_pipeline` does."""
    document = read_yaml(path)
    return pipeline_spec(document, assets) if is_pipeline(document) else _job_component(document)


def _job_component(document: YamlDocument) -> CommandSpec:
    is_parallel = type_of(document.mapping()) == "parallel"
    return parallel_at(document.root, document.path.stem) if is_parallel else command_spec(document)


def _open_component(assets: Assets, opened: OpenedFiles, component: Value) -> YamlDocument | None:
    """The pipeline that a node names; None where it is something else, or at fault, which is found in reading it."""
    with suppress(DesignerError):
        path = component_path(component, assets)
        return opened[path] if path.is_file() and is_pipeline(opened[path]) else None
    return None


class _Reader:
    """Reader of one pipeline and the components in it."""

    def __init__(self, assets: Assets, faults: FaultCollector, opened: OpenedFiles) -> None:
        self._assets = assets
        self._faults = faults
        self._opened = opened
        self._commands: dict[Path, CommandSpec] = {}

    def pipeline(self, document: YamlDocument) -> PipelineSpec:
        top = Fields(document.mapping())
        spec = self._without_nodes(document)
        if "jobs" not in top.mapping.children and "component" in top.mapping.children:
            return self._of_component(top, spec)
        if "jobs" not in top.mapping.children:
            raise top.mapping.key_place.error("A pipeline needs the key jobs.", "Its nodes are listed there by name.")
        jobs = top.entries("jobs")
        controls = {name: value for name, value in jobs.items() if type_of(value) in CONTROL_KINDS}
        jobs = {name: value for name, value in jobs.items() if name not in controls}
        return replace(spec, nodes=self._nodes(jobs, spec), controls=controls)

    def sweep_job(self, document: YamlDocument) -> PipelineSpec:
        """A sweep that stands alone, as a pipeline of one node."""
        top, name = Fields(document.mapping()), "sweep"
        trial = top.fields("trial")
        if trial is None:
            raise top.mapping.place.error("The sweep job has no trial.", "Write its command at `trial`.")
        spec = self._without_nodes(document)
        component = (
            command_at(trial.mapping, name)
            if "inputs" in trial.mapping.children
            else replace(inline_command(trial.mapping, name), inputs=spec.inputs, outputs=spec.outputs)
        )
        node = NodeSpec(
            name=name,
            component=component,
            place=top.mapping.place,
            inputs={port: Given(f"${{{{parent.inputs.{port}}}}}") for port in spec.inputs},
            bound_outputs={port: port for port in spec.outputs},
            environment_variables=trial.texts("environment_variables"),
            resources=top.texts("resources") or trial.texts("resources"),
            distribution=trial.texts("distribution"),
            kind="sweep",
            definition=top.mapping,
        )
        return replace(spec, nodes={name: node})

    def command_job(self, document: YamlDocument) -> PipelineSpec:
        """A command job as a pipeline of one node, whose ports are those of the pipeline."""
        root = document.mapping()
        spec = self._without_nodes(document)
        component = replace(_inline_component(spec.name, root, spec), display_name=spec.display_name)
        return one_node_pipeline(spec, _with_inferred_inputs(_node(COMMAND_JOB_NODE, root, component), root, spec))

    def _without_nodes(self, document: YamlDocument) -> PipelineSpec:
        top = Fields(document.mapping())
        inputs, given = self._inputs(top)
        outputs, given_outputs = self._outputs(top)
        return PipelineSpec(
            name=top.text("name") or document.path.stem,
            source=document.path,
            nodes={},
            inputs=inputs,
            outputs=outputs,
            places=_places(top),
            given=given,
            given_outputs=given_outputs,
            settings=_settings(top.fields("settings")),
            display_name=top.text("display_name"),
            experiment_name=top.text("experiment_name"),
        )

    def _of_component(self, top: Fields, job: PipelineSpec) -> PipelineSpec:
        """A job that only runs a pipeline component."""
        component = self._component_file(top)
        if not isinstance(component, PipelineSpec):
            raise top.mapping.children["component"].key_place.error("component must be a pipeline component.")
        return component.run_by(job)

    def _inputs(self, top: Fields) -> tuple[dict[str, InputSpec], dict[str, Given]]:
        ports: dict[str, InputSpec] = {}
        given: dict[str, Given] = {}
        for name, entry in _flat(top.ports("inputs")).items():
            with self._faults.collecting():
                value = _given(entry)
                if value is not None:
                    given[name] = value
                ports[name] = _pipeline_input(name, entry, value)
        return ports, given

    def _outputs(self, top: Fields) -> tuple[dict[str, OutputSpec], dict[str, Path]]:
        ports: dict[str, OutputSpec] = {}
        paths: dict[str, Path] = {}
        for name, entry in top.ports("outputs").items():
            with self._faults.collecting():
                ports[name] = read_output(name, entry, default_type=_FOLDER)
                path = Fields(entry).text("path")
                if path is not None and not is_reference(path):
                    paths[name] = resolved(entry.folder / path)
        return ports, paths

    def _nodes(self, jobs: dict[str, Value], pipeline: PipelineSpec) -> dict[str, NodeSpec]:
        nodes: dict[str, NodeSpec] = {}
        for name, value in jobs.items():
            with self._faults.collecting():
                if not name.isidentifier():
                    raise value.key_place.error(
                        f"'{shorten(name, 80)}' is not a name for a node; use letters, digits and _."
                    )
                _check_kind(name, value)
                component = (
                    _inline_component(name, value, pipeline) if _is_inline(value) else self._component(name, value)
                )
                nodes[name] = _node(name, value, component)
        # The types of an inline command's inputs are those of what it is given, such as outputs of other nodes.
        for name, node in nodes.items():
            if _is_inline(jobs[name]):
                nodes[name] = _with_inferred_inputs(node, jobs[name], replace(pipeline, nodes=nodes))
        return nodes

    def _component(self, name: str, node: Value) -> CommandSpec | PipelineSpec:
        key = _component_key(node)
        value = node.children[key]
        if value.is_mapping:
            _check_kind(name, value)
            kind = type_of(value) or type_of(node)
            return parallel_at(value, name) if kind == "parallel" else command_at(value, name)
        return self._component_file(Fields(node), key)

    def _component_file(self, fields: Fields, key: str = "component") -> CommandSpec | PipelineSpec:
        fields.required_text(key)
        value = fields.mapping.children[key]
        path = component_path(value, self._assets)
        if not path.is_file():
            raise value.key_place.error(f"There is no component file {path}.")
        if is_pipeline(self._opened[path]):
            return self.pipeline(self._opened[path])
        if path not in self._commands:
            self._commands[path] = _job_component(self._opened[path])
        return self._commands[path]


def _node(name: str, value: Value, component: CommandSpec | PipelineSpec) -> NodeSpec:
    fields = Fields(value)
    given = {
        port: _for_port(component.inputs.get(port), _given(entry), entry)
        for port, entry in _flat(fields.ports("inputs")).items()
    }
    bound: dict[str, str] = {}
    modes: dict[str, str] = {}
    for port, entry in fields.ports("outputs").items():
        target, path = given_value(entry), entry.get("path")
        if target is None and path is not None and is_binding(path.text or ""):
            target = path
        if target is not None and target.text is not None:
            bound[port] = parse_output(target.text, entry.key_place)
        mode = Fields(entry).text("mode")
        if mode is not None:
            modes[port] = mode
    environment = value.get("environment") if "component" in value.children else None
    kind = _kind_of_node(name, value, component)
    return NodeSpec(
        name=name,
        component=component,
        place=value.key_place,
        inputs={port: found for port, found in given.items() if found is not None},
        bound_outputs=bound,
        output_modes=modes,
        environment_variables=fields.texts("environment_variables"),
        resources=fields.texts("resources"),
        distribution=fields.texts("distribution"),
        limits=fields.texts("limits") if kind == "command" else {},
        environment=None if environment is None else environment.plain,
        compute=fields.text("compute"),
        kind=kind,
        definition=value if kind in {"sweep", "parallel"} else None,
    )


def _places(top: Fields) -> dict[tuple[str, str], SpecPlace]:
    return {
        (section, name): entry.key_place
        for section in ("inputs", "outputs")
        for name, entry in _flat(top.entries(section)).items()
    }


def _flat(entries: dict[str, Value]) -> dict[str, Value]:
    """Inputs with the members of a group as `group.name`."""
    flat: dict[str, Value] = {}
    for name, entry in entries.items():
        kind = entry.get("type")
        if kind is not None and kind.text == "group":
            members = _flat(Fields(entry).ports("values"))
            flat |= {f"{name}.{member}": value for member, value in members.items()}
        else:
            flat[name] = entry
    return flat


def _given(entry: Value) -> Given | None:
    path = Fields(entry).text("path")
    if path is not None:
        path = path if is_binding(path) or is_reference(path) else str(resolved(entry.folder / path))
        return Given(path, is_path=True, place=entry.children["path"].place, key_place=entry.key_place)
    value = given_value(entry)
    if value is None or value.plain is None:
        return None
    if not isinstance(value.plain, (bool, int, float, str)):
        raise entry.key_place.error(f"The value must be a single value, not {value.shown}.")
    return Given(str(value.plain), place=value.place, key_place=entry.key_place)


def _for_port(port: InputSpec | None, given: Given | None, entry: Value) -> Given | None:
    """The value given to a port; the SDK takes a text that is given to a data port for a path."""
    if port is None or given is None or not port.is_data or given.is_path or is_binding(given.text):
        return given
    text = given.text if is_reference(given.text) else str(resolved(entry.folder / given.text))
    return replace(given, text=text, is_path=True)


def _pipeline_input(name: str, entry: Value, given: Given | None) -> InputSpec:
    if "type" in entry.children:
        return read_input(name, entry)
    return InputSpec(name, _FOLDER if given is not None and given.is_path else "string")


def _settings(fields: Fields | None) -> PipelineSettings:
    if fields is None:
        return PipelineSettings()
    return PipelineSettings(
        continue_on_step_failure=fields.flag("continue_on_step_failure", default=True),
        force_rerun=fields.flag("force_rerun", default=False),
        default_compute=fields.text("default_compute"),
    )


def _kind_of_node(name: str, node: Value, component: CommandSpec | PipelineSpec) -> str:
    """The kind of a node, which is that of its component where it names no type."""
    if isinstance(component, PipelineSpec):
        return "pipeline"
    found = "command" if component.definition is None else "parallel"
    kind = type_of(node) or found
    if (kind == "parallel") is not (found == "parallel"):
        raise node.children["type"].key_place.error(
            f"The node {name} is of type {kind}, its component of type {found}.", f"Write type: {found}."
        )
    return kind


def _component_key(node: Value) -> str:
    return "trial" if type_of(node) == "sweep" else "component"


def _is_inline(node: Value) -> bool:
    """True if a node says itself what it runs, so that the types of its inputs are those of what it is given."""
    return _component_key(node) not in node.children


def _check_kind(name: str, value: Value) -> None:
    kind = type_of(value) or "command"
    if kind not in NODE_KINDS:
        known = ", ".join(sorted(NODE_KINDS | CONTROL_KINDS))
        raise value.children["type"].key_place.unsupported(
            f"The node {name} is of type {kind}; only {known} nodes can run here."
        )


def _inline_component(name: str, value: Value, pipeline: PipelineSpec) -> CommandSpec:
    """The command of a node without a component; `_with_inferred_inputs` fills in its inputs."""
    kind = type_of(value)
    if kind == "sweep" or (kind == "command" and "command" not in value.children):
        missing = "no trial" if kind == "sweep" else "neither a component nor a command"
        raise value.key_place.error(f"The node {name} has {missing}.")
    outputs = {}
    for port, entry in Fields(value).ports("outputs").items():
        target = given_value(entry)
        text = None if target is None else target.text
        bound = None if text is None else pipeline.outputs.get(parse_output(text, entry.key_place))
        output_type = Fields(entry).text("type") or (_FOLDER if bound is None else bound.type)
        outputs[port] = OutputSpec(port, output_type)
    command = inline_parallel(value, name) if kind == "parallel" else inline_command(value, name)
    return replace(command, outputs=outputs)


def _with_inferred_inputs(node: NodeSpec, value: Value, pipeline: PipelineSpec) -> NodeSpec:
    entries = Fields(value).ports("inputs")
    inputs = {}
    for port, given in node.inputs.items():
        declared = Fields(entries[port]).text("type") if port in entries else None
        inputs[port] = inferred_input(port, given, node, pipeline) if declared is None else InputSpec(port, declared)
    assert isinstance(node.component, CommandSpec)
    return replace(node, component=replace(node.component, inputs=inputs))
