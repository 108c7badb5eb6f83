"""A pipeline's YAML file (schemas pipelineJob and pipelineComponent, SDK v2) as a `PipelineSpec`.

Component files are read from the paths in it, which are relative to its folder; registered components from where the
assets file says. Everything that is wrong is collected and raised at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.schema.assets import Assets, is_reference
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, is_binding, parse_output, parse_text
from pytorch_designer.harness.schema.component_file import command_at, command_spec, read_input, read_output
from pytorch_designer.harness.schema.pipeline_faults import Faults
from pytorch_designer.harness.schema.pipeline_specification import Given, NodeSpec, PipelineSettings, PipelineSpec
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec, OutputSpec
from pytorch_designer.harness.schema.yaml_document import YamlDocument, read_yaml
from pytorch_designer.harness.schema.yaml_section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FOLDER = "uri_folder"
_OF_THE_NODE = ("inputs", "outputs", "resources", "distribution", "environment_variables", "name", "display_name")


def read_pipeline(path: Path, assets: Assets | None = None) -> PipelineSpec:
    """Read the pipeline job or pipeline component in the YAML file `path`.

    Raises:
        InvalidSpecError: The file, or one that it names, is missing or not usable.
        UnsupportedLocallyError: It needs what cannot run on this machine: another kind of node, or a registered
            component that `assets` does not have.
    """
    return pipeline_spec(read_yaml(path), assets)


def pipeline_spec(document: YamlDocument, assets: Assets | None = None) -> PipelineSpec:
    """The pipeline that a YAML file holds; raises as `read_pipeline` does."""
    faults = Faults()
    spec = _Reader(assets or Assets(), faults).pipeline(document)
    faults.raise_any(document.path)
    return spec


def is_pipeline(document: YamlDocument) -> bool:
    """Whether a YAML file holds a pipeline and not a command component."""
    return str(document.data.get("type", "")).lower() == "pipeline" or "jobs" in document.data


def read_component_file(path: Path, assets: Assets) -> CommandSpec | PipelineSpec:
    """Read a command component or a pipeline component; raises as `read_pipeline` does."""
    document = read_yaml(path)
    return pipeline_spec(document, assets) if is_pipeline(document) else command_spec(document)


class _Reader:
    """Reads one pipeline and the components in it."""

    def __init__(self, assets: Assets, faults: Faults, ancestors: tuple[Path, ...] = ()) -> None:
        self._assets = assets
        self._faults = faults
        self._ancestors = ancestors

    def pipeline(self, document: YamlDocument) -> PipelineSpec:
        top = Section.whole(document)
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
            settings=_settings(top),
            display_name=top.text("display_name"),
            experiment_name=top.text("experiment_name"),
        )
        if "jobs" not in top.data and "component" in top.data:
            return self._of_component(top, spec)
        return replace(spec, nodes=self._nodes(top, spec))

    def _of_component(self, top: Section, job: PipelineSpec) -> PipelineSpec:
        """A job that says no more than which pipeline component to run, and with what."""
        component = self._component_file(top)
        if not isinstance(component, PipelineSpec):
            raise top.fault("component must be a pipeline component.", "component")
        return replace(
            component,
            given=job.given,
            given_outputs=job.given_outputs,
            settings=job.settings,
            display_name=job.display_name or component.display_name,
            experiment_name=job.experiment_name,
        )

    def _inputs(self, top: Section) -> tuple[dict[str, InputSpec], dict[str, Given]]:
        ports: dict[str, InputSpec] = {}
        given: dict[str, Given] = {}
        for name, section in _flat_entries(top.mapping("inputs")):
            with self._faults.collecting():
                value = _given(section)
                if value is not None:
                    given[name] = value
                ports[name] = _pipeline_input(name, section, value)
        return ports, given

    def _outputs(self, top: Section) -> tuple[dict[str, OutputSpec], dict[str, Path]]:
        ports: dict[str, OutputSpec] = {}
        paths: dict[str, Path] = {}
        for name, section in _entries(top.mapping("outputs")):
            with self._faults.collecting():
                ports[name] = read_output(name, _with_type(section))
                path = section.text("path")
                if path is not None and not is_reference(path):
                    paths[name] = (section.document.path.parent / path).resolve()
        return ports, paths

    def _nodes(self, top: Section, pipeline: PipelineSpec) -> dict[str, NodeSpec]:
        nodes: dict[str, NodeSpec] = {}
        inline: dict[str, Section] = {}
        for name, section in _entries(top.mapping("jobs")):
            with self._faults.collecting():
                if not name.isidentifier():
                    raise section.fault(f"{name} is no name for a node; use letters, digits and _.")
                _check_kind(name, section)
                if "component" in section.data:
                    nodes[name] = self._node(name, section, self._component(name, section))
                else:
                    inline[name] = section
                    nodes[name] = self._node(name, section, _inline_command(name, section, pipeline))
        # What an inline command is given tells the types of its inputs, which are those of other nodes' outputs.
        for name, section in inline.items():
            if name in nodes:
                nodes[name] = _with_inferred_inputs(nodes[name], section, replace(pipeline, nodes=nodes))
        return {name: nodes[name] for name, _ in _entries(top.mapping("jobs")) if name in nodes}

    def _component(self, name: str, section: Section) -> CommandSpec | PipelineSpec:
        value = section.data["component"]
        if isinstance(value, dict):
            inner = section.mapping("component")
            _check_kind(name, inner)
            return command_at(inner, name)
        return self._component_file(section)

    def _component_file(self, section: Section) -> CommandSpec | PipelineSpec:
        text = section.required_text("component").removeprefix("file:")
        if is_reference(text):
            path = self._assets.find(text, section.where("component"))
        else:
            path = (section.document.path.parent / text).resolve()
        if not path.is_file():
            raise section.fault(f"There is no component file {path}.", "component")
        ancestors = (*self._ancestors, section.document.path.resolve())
        if path in ancestors:
            raise section.fault(f"The pipeline component {path} contains itself.", "component")
        document = read_yaml(path)
        if is_pipeline(document):
            return _Reader(self._assets, self._faults, ancestors).pipeline(document)
        return command_spec(document)

    def _node(self, name: str, section: Section, component: CommandSpec | PipelineSpec) -> NodeSpec:
        inputs: dict[str, Given] = {}
        for port, entry in _flat_entries(section.mapping("inputs")):
            value = _given(entry)
            if value is not None:
                inputs[port] = value
        bound: dict[str, str] = {}
        modes: dict[str, str] = {}
        for port, entry in _entries(section.mapping("outputs")):
            target = entry.data.get("value", entry.data.get("path"))
            if isinstance(target, str) and (is_binding(target) or "value" in entry.data):
                bound[port] = parse_output(target, entry.where())
            mode = entry.text("mode")
            if mode is not None:
                modes[port] = mode
        return NodeSpec(
            name=name,
            component=component,
            where=section.where(),
            inputs=inputs,
            bound_outputs=bound,
            output_modes=modes,
            environment_variables=_texts(section, "environment_variables"),
            resources=_texts(section, "resources"),
            distribution=_texts(section, "distribution"),
            environment=section.data.get("environment") if "component" in section.data else None,
            compute=section.text("compute"),
        )


def _entries(section: Section) -> list[tuple[str, Section]]:
    """The entries of a mapping of ports or nodes; `name: text` is read like `name: {value: text}`."""
    entries = []
    for name, value in section.data.items():
        if not isinstance(name, str):
            raise section.fault(f"The name {name!r} is not a text.")
        data = value if isinstance(value, dict) else {"value": value}
        entries.append((name, Section(section.document, (*section.keys, name), data)))
    return entries


def _flat_entries(section: Section) -> list[tuple[str, Section]]:
    """The same, with the members of a group as `group.name`."""
    flat = []
    for name, entry in _entries(section):
        if entry.data.get("type") == "group":
            flat += [(f"{name}.{inner}", member) for inner, member in _flat_entries(entry.mapping("values"))]
        else:
            flat.append((name, entry))
    return flat


def _given(entry: Section) -> Given | None:
    path = entry.text("path")
    if path is not None:
        if not is_binding(path) and not is_reference(path):
            path = str((entry.document.path.parent / path).resolve())
        return Given(path, is_path=True)
    value = entry.data.get("value")
    if value is None:
        return None
    if not isinstance(value, (bool, int, float, str)):
        raise entry.fault(f"The value must be a single value, not {value!r}.")
    return Given(str(value))


def _pipeline_input(name: str, section: Section, given: Given | None) -> InputSpec:
    if "type" in section.data:
        return read_input(name, section)
    return InputSpec(name, _FOLDER if given is not None and given.is_path else "string")


def _with_type(section: Section) -> Section:
    data = {"type": _FOLDER, **{key: value for key, value in section.data.items() if value is not None}}
    return Section(section.document, section.keys, data)


def _settings(top: Section) -> PipelineSettings:
    section = top.mapping("settings")
    return PipelineSettings(
        continue_on_step_failure=section.flag("continue_on_step_failure", default=True),
        force_rerun=section.flag("force_rerun", default=False),
        default_compute=section.text("default_compute"),
    )


def _check_kind(name: str, section: Section) -> None:
    kind = str(section.data.get("type", "command")).lower()
    if kind not in {"command", "pipeline"}:
        raise UnsupportedLocallyError(
            f"The node {name} is a {kind} node; only command and pipeline nodes can run here.",
            where=section.where("type"),
        )


def _texts(section: Section, key: str) -> dict[str, str]:
    entries = section.mapping(key).data
    return {str(name): "" if value is None else str(value) for name, value in entries.items()}


def _inline_command(name: str, section: Section, pipeline: PipelineSpec) -> CommandSpec:
    """The command of a node without a component; its inputs are filled in by `_with_inferred_inputs`."""
    data: Mapping[Any, Any] = {key: value for key, value in section.data.items() if key not in _OF_THE_NODE}
    if "command" not in data:
        raise section.fault(f"The node {name} has neither a component nor a command.")
    command = command_at(Section(section.document, section.keys, data), name)
    outputs = {}
    for port, entry in _entries(section.mapping("outputs")):
        target = entry.data.get("value")
        bound = pipeline.outputs.get(parse_output(target, entry.where())) if isinstance(target, str) else None
        kind = entry.text("type") or (_FOLDER if bound is None else bound.type)
        outputs[port] = OutputSpec(port, kind)
    return replace(command, outputs=outputs)


def _with_inferred_inputs(node: NodeSpec, section: Section, pipeline: PipelineSpec) -> NodeSpec:
    declared = {port: entry.text("type") for port, entry in _entries(section.mapping("inputs"))}
    inputs = {
        port: _inferred_input(port, given, node, pipeline)
        if declared[port] is None
        else InputSpec(port, str(declared[port]))
        for port, given in node.inputs.items()
    }
    assert isinstance(node.component, CommandSpec)  # noqa: S101
    return replace(node, component=replace(node.component, inputs=inputs))


def _inferred_input(port: str, given: Given, node: NodeSpec, pipeline: PipelineSpec) -> InputSpec:
    try:
        parts = parse_text(given.text, node.where)
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
