"""azure-ai-ml objects as the plain data of `specification`: the only module that knows that SDK's classes.

The SDK is not imported here either: whoever has an object has imported it. What is read are public attributes and the
plain dicts of `_to_rest_inputs()` and `_to_rest_outputs()`, which have not changed from release 1.4 to 1.35.

To run an object, it is not written as YAML and read again, although `object_document` does so for the linter. In that
YAML each component's paths are relative to its own base folder, which a document with one folder loses; booleans are
0 and 1; inline environments have names that the SDK made up; and inputs that are bound in settings cannot be written.
"""

from __future__ import annotations

import json
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.errors import shorten
from pytorch_designer.harness.schema.assets import Assets, is_reference
from pytorch_designer.harness.schema.bindings import is_binding, local_command, parse_output
from pytorch_designer.harness.schema.component_file import parallel_at
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec, read_component_file
from pytorch_designer.harness.schema.pipeline_size import check_num_nodes
from pytorch_designer.harness.schema.pipeline_specification import (
    COMMAND_JOB_NODE,
    Given,
    NodeSpec,
    PipelineSettings,
    PipelineSpec,
    one_node_pipeline,
)
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
from pytorch_designer.harness.schema.specification import CommandSpec, Distribution, InputSpec, OutputSpec, Resources
from pytorch_designer.harness.schema.vocabulary import CONTROL_KINDS, NODE_KINDS, PARAMETER_TYPES, PORT_NAME
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, parse_yaml
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.yaml_tree import Value

_MODES = {"Upload": "upload", "ReadWriteMount": "rw_mount", "Direct": "direct"}
_ANONYMOUS = "CliV2AnonymousEnvironment"
_ANONYMOUS_COMPONENT = "azureml_anonymous"


def command_component(component: Any) -> CommandSpec:
    """`CommandSpec` of an object of `azure.ai.ml.load_component` or `azure.ai.ml.command(...).component`.

    Raises:
        UnsupportedLocallyError: It is another kind of component, or its code is not on this machine.
        InvalidSpecError: It has no command.
    """
    base = base_path(component)
    place = SpecPlace(str(base))
    kind = getattr(component, "type", None)
    if kind != "command":
        raise place.unsupported(
            f"{component.name} is a component of type {kind}; only command components can run here."
        )
    if not component.command:
        raise place.error(f"{component.name} has no command.")
    tags = component.tags or {}
    return CommandSpec(
        name=component.name or "component",
        version=None if component.version is None else str(component.version),
        display_name=component.display_name,
        description=component.description or "",
        command=local_command(component.command),
        code=None if component.code is None else _local_path(base, component.code),
        additional_includes=tuple(_local_path(base, entry) for entry in component.additional_includes or ()),
        environment=_environment(component.environment),
        environment_variables=dict(getattr(component, "environment_variables", None) or {}),
        distribution=distribution(component.distribution),
        resources=resources(component.resources),
        inputs={name: _input(name, port, tags) for name, port in component.inputs.items()},
        outputs={name: _output(_checked_name(name, place), port, tags) for name, port in component.outputs.items()},
        is_deterministic=component.is_deterministic is not False,
        source=base,
    )


def pipeline_job(job: Any, assets: Assets | None = None) -> PipelineSpec:
    """`PipelineSpec` of an object of a `@dsl.pipeline` function, `azure.ai.ml.command` or `load_job`.

    Args:
        job: A `PipelineJob`, or a command job, which becomes a pipeline of one node.
        assets: Where registered components are.

    Raises:
        UnsupportedLocallyError: It is another kind of job, or has nodes that cannot run here.
        InvalidSpecError: It cannot be used.
    """
    base = base_path(job)
    place = SpecPlace(str(base))
    if getattr(job, "type", None) == "sweep":
        return pipeline_spec(_sweep_document(job, base), assets)
    assets, faults = assets or Assets(), FaultCollector()
    if is_command_job(job):
        return _command_job(job, base, _PipelineReader(assets, faults))
    if getattr(job, "type", None) != "pipeline" or not hasattr(job, "jobs"):
        raise place.unsupported(f"{type(job).__name__} is not a pipeline job or command job.")
    given = _given_inputs(job, base)
    inputs = _flat_inputs(getattr(job.component, "inputs", None) or {})
    name = getattr(job.component, "name", None)
    spec = PipelineSpec(
        name=job.name or "pipeline" if name in {None, _ANONYMOUS_COMPONENT} else name,
        source=base,
        nodes=_PipelineReader(assets, faults).nodes(job.jobs, base),
        controls=_controls(job.jobs, base),
        inputs=inputs or {name: _job_input(job, name, value) for name, value in given.items()},
        outputs={name: _pipeline_output(_checked_name(name, place), port) for name, port in job.outputs.items()},
        given=given,
        given_outputs=_given_outputs(job, base),
        settings=_settings(job.settings),
        display_name=job.display_name,
        experiment_name=job.experiment_name,
    )
    faults.raise_any(place)
    if not isinstance(job.component, str):
        return spec
    component = read_component_file(assets.find(job.component, place), assets)
    if not isinstance(component, PipelineSpec):
        raise place.error(f"{job.component} is not a pipeline component.")
    return component.run_by(spec)


def is_command_job(job: Any) -> bool:
    """True if an object is a command with values, as opposed to a component."""
    return getattr(job, "type", None) == "command" and hasattr(job, "component") and hasattr(job, "_to_rest_inputs")


def _command_job(job: Any, base: Path, reader: _PipelineReader) -> PipelineSpec:
    node = reader.node(COMMAND_JOB_NODE, job, base)
    name = job.name or job.display_name or node.component.name
    component = node.component
    spec = PipelineSpec(
        name=name,
        source=base,
        nodes={},
        inputs=component.inputs,
        outputs=component.outputs,
        given=node.inputs,
        given_outputs=_given_outputs(job, base),
        display_name=job.display_name,
        experiment_name=job.experiment_name,
    )
    named = replace(component, name=name, display_name=job.display_name)
    return one_node_pipeline(spec, replace(node, component=named))


class _PipelineReader:
    """Reader of the nodes of a pipeline and of those nested in it."""

    def __init__(self, assets: Assets, faults: FaultCollector) -> None:
        self._assets = assets
        self._faults = faults
        self._num_nodes = 0

    def nodes(self, jobs: Any, base: Path) -> dict[str, NodeSpec]:
        nodes = {}
        self._num_nodes += len(jobs)
        check_num_nodes(self._num_nodes, SpecPlace(str(base)))
        for name, node in jobs.items():
            if node.type not in CONTROL_KINDS:
                with self._faults.collecting():
                    nodes[name] = self.node(name, node, base)
        return nodes

    def node(self, name: str, node: Any, base: Path) -> NodeSpec:
        place = SpecPlace(str(base), keys=("jobs", name))
        kind = getattr(node, "type", type(node).__name__)
        if kind not in NODE_KINDS:
            known = ", ".join(sorted(NODE_KINDS | CONTROL_KINDS))
            raise place.unsupported(f"The node {name} is of type {kind}; only {known} nodes can run here.")
        _checked_name(name, place)
        own = resolved(Path(getattr(node, "base_path", None) or base))
        outputs = _rest_outputs(node)
        targets = {port: value.get("value", value.get("uri")) for port, value in outputs.items()}
        is_command = kind == "command"
        launcher = node.distribution if is_command else None
        has_settings = kind in {"sweep", "parallel"}
        definition = plain_document(node._to_dict(), own / name, place.keys).root if has_settings else None
        return NodeSpec(
            name=name,
            component=self._component(name, node.trial if kind == "sweep" else node.component, place, definition),
            place=place,
            inputs=_given_inputs(node, own),
            bound_outputs={
                port: parse_output(text, place)
                for port, text in targets.items()
                if isinstance(text, str) and is_binding(text)
            },
            output_modes={
                port: _MODES[value["mode"]] for port, value in outputs.items() if value.get("mode") in _MODES
            },
            environment_variables=_texts(getattr(node, "environment_variables", None)),
            resources=_texts(_fields(getattr(node, "resources", None), ("instance_count", "shm_size"))),
            distribution=_texts(_fields(launcher, ("type", "process_count_per_instance"))),
            limits=_texts(_fields(getattr(node, "limits", None), ("timeout",))) if is_command else {},
            environment=_environment(node.environment) if is_command else None,
            compute=_text(node.compute),
            kind=kind,
            definition=definition,
        )

    def _component(
        self, name: str, component: Any, place: SpecPlace, definition: Value | None
    ) -> CommandSpec | PipelineSpec:
        if isinstance(component, str):
            return read_component_file(self._assets.find(component, place), self._assets)
        if definition is not None and component.type == "parallel":
            return parallel_at(definition.children["component"], name)
        if getattr(component, "type", None) != "pipeline":
            spec = command_component(component)
            return replace(spec, name=name, version=None) if spec.name == _ANONYMOUS_COMPONENT else spec
        base = base_path(component)
        return PipelineSpec(
            name=name if component.name in {None, _ANONYMOUS_COMPONENT} else component.name,
            source=base,
            nodes=self.nodes(component.jobs, base),
            controls=_controls(component.jobs, base),
            inputs=_flat_inputs(component.inputs),
            outputs={name: _pipeline_output(name, port) for name, port in component.outputs.items()},
            display_name=component.display_name,
        )


def plain_document(plain: Any, path: Path, keys: tuple[str, ...] = ()) -> YamlDocument:
    """Plain data that the SDK would write as YAML, or a part of it; its places have no lines."""
    text = yaml.safe_dump(json.loads(json.dumps(plain, default=str)), sort_keys=False)
    return parse_yaml(text, path, has_lines=False, keys=keys)


def _controls(jobs: Any, base: Path) -> dict[str, Value]:
    """The mappings that `if_else` and `do_while` nodes would have in YAML, but that ports of a loop have bare names."""
    controls = {name: node for name, node in jobs.items() if node.type in CONTROL_KINDS}
    return {
        name: plain_document(node._to_rest_object(), base / name, ("jobs", name)).root
        for name, node in controls.items()
    }


def _sweep_document(job: Any, base: Path) -> YamlDocument:
    """The YAML of a sweep that stands alone, with the paths of its inputs, which the SDK takes for registered names."""
    plain = job._to_dict()
    for name, given in (plain.get("inputs") or {}).items():
        if isinstance(given, dict) and "path" in given:
            given["path"] = str(job.inputs[name].path)
    return plain_document(plain, base / "sweep")


def distribution(value: Any) -> Distribution | None:
    """A component's or node's `distribution`, an object or a dict; None stays None."""
    if value is None:
        return None
    count = _attribute(value, "process_count_per_instance")
    return Distribution(str(_attribute(value, "type")).lower(), int(count or 1))


def resources(value: Any) -> Resources:
    """A component's or node's `resources`, an object or a dict; None is one node."""
    return Resources(int(_attribute(value, "instance_count") or 1), _attribute(value, "shm_size"))


def base_path(owner: Any) -> Path:
    """The folder that relative paths in a component or job start from, absolute."""
    return resolved(Path(getattr(owner, "base_path", None) or Path.cwd()))


def _input(name: str, port: Any, tags: Mapping[str, str]) -> InputSpec:
    return InputSpec(
        name=name,
        type=port.type or "string",  # a parameter without annotation takes literals and data alike, as text does
        is_optional=bool(port.optional),
        default=port.default,
        minimum=port.min,
        maximum=port.max,
        choices=tuple(choice.value if isinstance(choice, Enum) else choice for choice in port.enum or ()),
        description=port.description or "",
        mode=port.mode,
        holds=tags.get(f"port.{name}"),
    )


def _output(name: str, port: Any, tags: Mapping[str, str]) -> OutputSpec:
    holds = tags.get(f"port.{name}")
    return OutputSpec(name, port.type, port.mode or "rw_mount", port.description or "", holds)


def _checked_name(name: str, place: SpecPlace) -> str:
    """`name`, of an output or node, which becomes the name of a folder."""
    if not PORT_NAME.fullmatch(name):
        raise place.error(f"'{shorten(name, 80)}' is not a name for an output or node; use letters, digits and _.")
    return name


def _environment(value: Any) -> Any:
    """A reference stays text; an inline environment becomes plain data, so that it can be compared and hashed."""
    if value is None or isinstance(value, (str, dict)):
        return value
    fields = {name: getattr(value, name, None) for name in ("name", "version", "image", "conda_file", "build")}
    if fields["name"] == _ANONYMOUS:  # made up by the SDK for an inline environment
        fields |= {"name": None, "version": None}
    build = fields["build"]
    if build is not None:
        dockerfile = {} if build.dockerfile_path is None else {"dockerfile_path": build.dockerfile_path}
        fields["build"] = {"path": str(build.path), **dockerfile}
    return {name: field for name, field in fields.items() if field is not None}


def _local_path(base: Path, value: Any) -> Path:
    text = str(getattr(value, "path", value))
    if is_reference(text):
        raise SpecPlace(str(base)).unsupported(f"The code {text} is not on this machine.")
    return resolved(base / text)


def _attribute(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _settings(settings: Any) -> PipelineSettings:
    return PipelineSettings(
        continue_on_step_failure=getattr(settings, "continue_on_step_failure", None) is not False,
        force_rerun=bool(getattr(settings, "force_rerun", None)),
        default_compute=getattr(settings, "default_compute", None),
    )


def _given_inputs(owner: Any, base: Path) -> dict[str, Given]:
    given = {}
    for name, value in owner._to_rest_inputs().items():
        path = value.get("uri")
        if path is not None:
            is_local = not is_reference(path) and not is_binding(path)
            given[name] = Given(str(resolved(base / path)) if is_local else path, is_path=True)
        elif value.get("value") is not None:
            given[name] = Given(str(value["value"]))
    return given


def _rest_outputs(owner: Any) -> dict[str, dict[str, Any]]:
    """The outputs without single values that are not bound: they have no place, and the SDK cannot translate them."""
    ports = [port for port in owner.outputs.values() if not hasattr(port._data, "_data_binding")]
    single = [(port, port._data) for port in ports if getattr(port._data, "type", None) in PARAMETER_TYPES]
    for output, _ in single:
        output._data = None
    found = owner._to_rest_outputs()
    for output, data in single:
        output._data = data
    return dict(found)


def _given_outputs(job: Any, base: Path) -> dict[str, Path]:
    paths = {name: value.get("uri") for name, value in _rest_outputs(job).items()}
    return {name: resolved(base / path) for name, path in paths.items() if path and not is_reference(path)}


def _flat_inputs(ports: Any, prefix: str = "") -> dict[str, InputSpec]:
    """The inputs of a pipeline component, with the members of a group as `group.name`."""
    flat: dict[str, InputSpec] = {}
    for name, port in ports.items():
        if port.type == "group":
            flat |= _flat_inputs(port.values, f"{prefix}{name}.")
        else:
            spec = _input(f"{prefix}{name}", port, {})
            # As in the SDK, an input of a pipeline that is not said to be required is so if a node requires it.
            flat[spec.name] = replace(spec, is_optional=port.optional is not False and port.default is None)
    return flat


def _job_input(job: Any, name: str, given: Given) -> InputSpec:
    kind = getattr(job.inputs[name], "type", None) if given.is_path else None
    return InputSpec(name, kind or ("uri_folder" if given.is_path else "string"))


def _pipeline_output(name: str, port: Any) -> OutputSpec:
    return OutputSpec(name, type=_attribute(port, "type") or "uri_folder", mode=_attribute(port, "mode") or "rw_mount")


def _fields(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    found = {} if value is None else {name: _attribute(value, name) for name in names}
    return {name: field for name, field in found.items() if field is not None}


def _texts(values: Any) -> dict[str, str]:
    return {str(name): _text(value) or "" for name, value in (values or {}).items()}


def _text(value: Any) -> str | None:
    """A value as text; a pipeline input, which is an object in settings, as its binding."""
    binding = getattr(value, "_data_binding", None)
    if binding is not None:
        return str(binding())
    return None if value is None else str(value)
