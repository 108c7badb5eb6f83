"""Pipeline YAML files (schemas pipelineJob and pipelineComponent, SDK v2) as `PipelineSpec`.

Component files are found at the paths in it, which are relative to its folder, and registered components through the
assets file. All faults are collected and raised at once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, InvalidSpecError, shorten
from pytorch_designer.harness.schema.assets import Assets, is_reference
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, is_binding, parse_output, parse_text
from pytorch_designer.harness.schema.component_file import command_at, command_spec, inline_command
from pytorch_designer.harness.schema.interface import given_value, read_input, read_output
from pytorch_designer.harness.schema.pipeline_size import check_size
from pytorch_designer.harness.schema.pipeline_specification import Given, NodeSpec, PipelineSettings, PipelineSpec
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec, OutputSpec
from pytorch_designer.harness.schema.yaml_fields import Fields
from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = "uri_folder"


def read_pipeline(path: Path, assets: Assets | None = None) -> PipelineSpec:
    """Read the pipeline job or pipeline component in the YAML file `path`.

    Raises:
        InvalidSpecError: The file, or one that it names, is missing or not usable.
        UnsupportedLocallyError: It needs what cannot run on this machine: another kind of node, or a registered
            component that `assets` does not have.
    """
    return pipeline_spec(read_yaml(path), assets)


def pipeline_spec(document: YamlDocument, assets: Assets | None = None) -> PipelineSpec:
    """The pipeline in a YAML document; raises as `read_pipeline` does."""
    faults = FaultCollector()
    check_size(document.mapping(), partial(_open_component, assets or Assets()))
    spec = _Reader(assets or Assets(), faults).pipeline(document)
    faults.raise_any(SpecPlace(str(document.path)))
    return spec


def is_pipeline(document: YamlDocument) -> bool:
    """Whether a YAML document is a pipeline, not a command component."""
    kind = document.root.get("type")
    return (kind is not None and str(kind.plain).lower() == "pipeline") or "jobs" in document.root.children


def read_component_file(path: Path, assets: Assets) -> CommandSpec | PipelineSpec:
    """Read a command component or a pipeline component; raises as `read_pipeline` does."""
    document = read_yaml(path)
    return pipeline_spec(document, assets) if is_pipeline(document) else command_spec(document)


def _open_component(assets: Assets, component: Value) -> YamlDocument | None:
    """The pipeline that a node names; None where it is something else, or at fault, which is found in reading it."""
    with suppress(DesignerError):
        path = _component_path(component, assets)
        document = read_yaml(path) if path.is_file() else None
        return document if document is not None and is_pipeline(document) else None
    return None


def _component_path(component: Value, assets: Assets) -> Path:
    text = (component.text or "").removeprefix("file:")
    return assets.find(text, component.key_place) if is_reference(text) else (component.folder / text).resolve()


class _Reader:
    """Reader of one pipeline and the components in it."""

    def __init__(self, assets: Assets, faults: FaultCollector) -> None:
        self._assets = assets
        self._faults = faults

    def pipeline(self, document: YamlDocument) -> PipelineSpec:
        top = Fields(document.mapping())
        inputs, given = self._inputs(top)
        outputs, given_outputs = self._outputs(top)
        spec = PipelineSpec(
            name=top.text("name") or document.path.stem,
            source=document.path,
            nodes={},
            inputs=inputs,
            outputs=outputs,
            given=given,
            given_outputs=given_outputs,
            settings=_settings(top.fields("settings")),
            display_name=top.text("display_name"),
            experiment_name=top.text("experiment_name"),
        )
        if "jobs" not in top.mapping.children and "component" in top.mapping.children:
            return self._of_component(top, spec)
        return replace(spec, nodes=self._nodes(top.entries("jobs"), spec))

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
                    paths[name] = (entry.folder / path).resolve()
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
                is_inline = "component" not in value.children
                component = _inline_command(name, value, pipeline) if is_inline else self._component(name, value)
                nodes[name] = _node(name, value, component)
        # The types of an inline command's inputs are those of what it is given, such as outputs of other nodes.
        for name, node in nodes.items():
            if "component" not in jobs[name].children:
                nodes[name] = _with_inferred_inputs(node, jobs[name], replace(pipeline, nodes=nodes))
        return nodes

    def _component(self, name: str, node: Value) -> CommandSpec | PipelineSpec:
        value = node.children["component"]
        if value.is_mapping:
            _check_kind(name, value)
            return command_at(value, name)
        return self._component_file(Fields(node))

    def _component_file(self, fields: Fields) -> CommandSpec | PipelineSpec:
        fields.required_text("component")
        value = fields.mapping.children["component"]
        path = _component_path(value, self._assets)
        if not path.is_file():
            raise value.key_place.error(f"There is no component file {path}.")
        document = read_yaml(path)
        return self.pipeline(document) if is_pipeline(document) else command_spec(document)


def _node(name: str, value: Value, component: CommandSpec | PipelineSpec) -> NodeSpec:
    fields = Fields(value)
    given = {port: _given(entry) for port, entry in _flat(fields.ports("inputs")).items()}
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
        environment=None if environment is None else environment.plain,
        compute=fields.text("compute"),
    )


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
        if not is_binding(path) and not is_reference(path):
            path = str((entry.folder / path).resolve())
        return Given(path, is_path=True, place=entry.children["path"].place)
    value = given_value(entry)
    if value is None or value.plain is None:
        return None
    if not isinstance(value.plain, (bool, int, float, str)):
        raise entry.key_place.error(f"The value must be a single value, not {value.shown}.")
    return Given(str(value.plain), place=value.place)


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


def _check_kind(name: str, value: Value) -> None:
    kind = value.get("type")
    if kind is not None and str(kind.plain).lower() not in {"command", "pipeline"}:
        raise kind.key_place.unsupported(
            f"The node {name} is a {str(kind.plain).lower()} node; only command and pipeline nodes can run here."
        )


def _inline_command(name: str, value: Value, pipeline: PipelineSpec) -> CommandSpec:
    """The command of a node without a component; `_with_inferred_inputs` fills in its inputs."""
    if "command" not in value.children:
        raise value.key_place.error(f"The node {name} has neither a component nor a command.")
    outputs = {}
    for port, entry in Fields(value).ports("outputs").items():
        target = given_value(entry)
        text = None if target is None else target.text
        bound = None if text is None else pipeline.outputs.get(parse_output(text, entry.key_place))
        kind = Fields(entry).text("type") or (_FOLDER if bound is None else bound.type)
        outputs[port] = OutputSpec(port, kind)
    return replace(inline_command(value, name), outputs=outputs)


def _with_inferred_inputs(node: NodeSpec, value: Value, pipeline: PipelineSpec) -> NodeSpec:
    entries = Fields(value).ports("inputs")
    inputs = {}
    for port, given in node.inputs.items():
        declared = Fields(entries[port]).text("type") if port in entries else None
        inputs[port] = _inferred_input(port, given, node, pipeline) if declared is None else InputSpec(port, declared)
    assert isinstance(node.component, CommandSpec)
    return replace(node, component=replace(node.component, inputs=inputs))


def _inferred_input(port: str, given: Given, node: NodeSpec, pipeline: PipelineSpec) -> InputSpec:
    try:
        parts = parse_text(given.text, node.place)
    except InvalidSpecError:  # reported when the bindings are resolved
        return InputSpec(port, "string")
    source = _source_of(parts[0], pipeline) if parts else None
    if source is None or (isinstance(source, InputSpec) and not source.is_data and len(parts) > 1):
        return InputSpec(port, "path" if given.is_path else "string")
    if len(parts) > 1:  # a part of a folder, which may be a file
        return InputSpec(port, "path")
    is_optional = isinstance(source, InputSpec) and not source.is_required
    return InputSpec(port, source.type, is_optional=is_optional)


def _source_of(part: object, pipeline: PipelineSpec) -> InputSpec | OutputSpec | None:
    if isinstance(part, ParentInput):
        return pipeline.inputs.get(part.name)
    if isinstance(part, NodePort) and part.node in pipeline.nodes:
        component = pipeline.nodes[part.node].component
        return component.outputs.get(part.name) if part.is_output else component.inputs.get(part.name)
    return None
