"""Plan of a pipeline: nested pipelines flattened, bindings resolved, everything checked.

Whatever can be refused without running anything is refused here, with all faults at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import shorten
from pytorch_designer.harness.job.job_processes import process_places
from pytorch_designer.harness.job.node import PlannedNode
from pytorch_designer.harness.job.rendering import render_command
from pytorch_designer.harness.job.snapshot import code_snapshot
from pytorch_designer.harness.node_kinds.control_flow import read_controls
from pytorch_designer.harness.pipeline.control_plan import (
    PlannedLoop,
    check_body,
    conditions_by_node,
    loop_condition,
    mapped_inputs,
    with_inputs,
    without_last,
)
from pytorch_designer.harness.pipeline.kind_plan import plan_kind, searched_names, with_overrides
from pytorch_designer.harness.schema.assets import Assets, is_reference
from pytorch_designer.harness.schema.binding_scope import UNKNOWN, OutputOf, Scope, Source, leaf_output
from pytorch_designer.harness.schema.bindings import is_binding
from pytorch_designer.harness.schema.interface import (
    kind_mismatch,
    type_mismatch,
    types_fit,
    unbound_output,
    unknown_input,
)
from pytorch_designer.harness.schema.pipeline_specification import Given, PipelineSpec
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec
from pytorch_designer.harness.schema.values import check_names, check_values, default_value, parse_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping

    from pytorch_designer.harness.job.node import Condition
    from pytorch_designer.harness.node_kinds.control_flow import Loop
    from pytorch_designer.harness.schema.pipeline_specification import NodeSpec
    from pytorch_designer.harness.schema.spec_faults import SpecFault

_NO_PATHS: dict[tuple[str, str], Path] = {}
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True)
class Plan:
    """Flat pipeline.

    Attributes:
        pipeline: The pipeline as it was read.
        nodes: By name; each after those that it needs.
        outputs: Node and port that each output of the pipeline is bound to.
        inputs: Value of each input of the pipeline as text; inputs without a value are absent.
        warnings: What Azure ML passes although it is suspicious, as the linter says it too.
    """

    pipeline: PipelineSpec
    nodes: Mapping[str, PlannedNode]
    outputs: Mapping[str, tuple[str, str]]
    inputs: Mapping[str, str]
    warnings: tuple[SpecFault, ...] = ()
    loops: tuple[PlannedLoop, ...] = ()


def plan_pipeline(
    pipeline: PipelineSpec,
    inputs: Mapping[str, object] | None = None,
    assets: Assets | None = None,
    known_code: set[Hashable] | None = None,
) -> Plan:
    """Flatten a pipeline and check it.

    Args:
        pipeline: The pipeline.
        inputs: Values for its inputs, instead of its own: paths and registered names for data, else Python values
            or their text.
        assets: Where registered data is.
        known_code: Code whose files have been found in order, and need not be listed again; what is found is added.

    Raises:
        UnknownNameError: The pipeline has no input of a name in `inputs`.
        InvalidSpecError: Something is wrong with it; lists all that is.
        UnsupportedLocallyError: Parts of it cannot run here; lists all of them.
        ParameterError: A single value is wrong.
    """
    check_names("input", inputs or {}, pipeline.inputs, pipeline.name)
    faults = FaultCollector()
    place = SpecPlace(str(pipeline.source))
    planner = _Planner(assets or Assets(), faults, set() if known_code is None else known_code)
    given = {**pipeline.given, **_given(pipeline, inputs or {})}
    outer = Scope(pipeline, "", {}, assets or Assets())
    values = planner.input_values(pipeline, given, outer, pipeline.label, place)
    planner.add_pipeline(pipeline, "", values, {name: name for name in pipeline.outputs})
    outputs = {}
    for name in pipeline.outputs:
        with faults.collecting():
            output = _pipeline_output(pipeline, name)
            if output is None:
                faults.warn("unbound-pipeline-output", pipeline.place_of("outputs", name), *unbound_output(name))
            else:
                outputs[name] = output
    nodes = _in_order(planner.nodes, faults, place)
    faults.raise_any(place)
    texts = {name: source.text(_NO_PATHS) for name, source in values.items() if source is not None}
    return Plan(pipeline, nodes, outputs, texts, tuple(faults.warnings), tuple(planner.loops))


class _Planner:
    """Collector of the command nodes of a pipeline and of its nested pipelines."""

    def __init__(self, assets: Assets, faults: FaultCollector, known_code: set[Hashable]) -> None:
        self.nodes: dict[str, PlannedNode] = {}
        self.loops: list[PlannedLoop] = []
        self._assets = assets
        self._faults = faults
        self._known_code = known_code

    def input_values(
        self, pipeline: PipelineSpec, given: Mapping[str, Given], outer: Scope, owner: str, place: SpecPlace
    ) -> dict[str, Source | None]:
        """Values of the inputs of a pipeline, which are given in the scope around it; `owner` is its name there."""
        values: dict[str, Source | None] = dict.fromkeys(pipeline.inputs)
        self._warn_of_unknown_inputs(owner, given, pipeline.inputs, place)
        for name, port in pipeline.inputs.items():
            source: Source | None = UNKNOWN
            with self._faults.collecting(given[name].place if name in given else None):
                source = (outer.resolve(given[name], place) if name in given else None) or _default(port)
                if source is None and not port.is_optional:
                    at = place.below("inputs", name) if place.node else pipeline.place_of("inputs", name)
                    self._faults.add(f"The input {name} of {owner} has no value.", at)
                    source = UNKNOWN
            values[name] = source
            if source is not None and source is not UNKNOWN:
                values[name] = UNKNOWN
                if name in given:
                    at = given[name].place or place.below("inputs", name)
                    self._check_fit(port, source, given[name], outer.declared(given[name]), at)
                with self._faults.collecting(source.place):
                    values[name] = _checked(port, source)
        return values

    def add_pipeline(
        self,
        pipeline: PipelineSpec,
        prefix: str,
        values: Mapping[str, Source | None],
        exports: Mapping[str, str],
        conditions: tuple[Condition, ...] = (),
    ) -> None:
        """Add the nodes of a pipeline.

        Args:
            pipeline: The pipeline.
            prefix: Prefix of the names of its nodes.
            values: The values of its inputs.
            exports: The output of the whole pipeline that each of its outputs is, if it is one.
            conditions: What all its nodes depend on.
        """
        scope = Scope(pipeline, prefix, values, self._assets)
        branches, loops = read_controls(pipeline.controls, self._faults)
        loop_of = {loop.body: loop for loop in loops}
        conditions_of = conditions_by_node(pipeline, branches, loops, scope, self._faults)
        writers: dict[str, str] = {}
        for node in pipeline.nodes.values():
            for port, name in node.bound_outputs.items():
                place = node.place.below("outputs", port)
                if port not in node.component.outputs:
                    self._faults.add(f"The node {node.name} has no output {port}.", place)
                if name not in pipeline.outputs:
                    self._faults.add(f"The pipeline has no output {name}.", place)
                elif name in writers:
                    self._faults.add(f"{writers[name]} and {node.name} both write the output {name}.", place)
                writers[name] = node.name
            bound = {port: exports[name] for port, name in node.bound_outputs.items() if name in exports}
            own = (*conditions, *conditions_of.get(node.name, ()))
            with self._faults.collecting():
                if node.name in loop_of:
                    self._add_loop(loop_of[node.name], node, prefix, scope, bound=bound, conditions=own)
                else:
                    self._add_node(node, prefix, scope, bound=bound, conditions=own)
        for loop in loops:
            with self._faults.collecting():
                check_body(loop, pipeline.nodes.get(loop.body))

    def _add_node(
        self,
        node: NodeSpec,
        prefix: str,
        scope: Scope,
        *,
        bound: Mapping[str, str],
        conditions: tuple[Condition, ...],
        mapped: Mapping[str, Source] = _NOTHING,
    ) -> None:
        """Add a node; `mapped` is given to its inputs instead of what it says."""
        if isinstance(node.component, PipelineSpec):
            inner = self.input_values(node.component, node.inputs, scope, node.name, node.place)
            self.add_pipeline(node.component, f"{prefix}{node.name}.", {**inner, **mapped}, bound, conditions)
            return
        self._add_job(node, node.component, prefix, scope, bound=bound, conditions=conditions)
        if mapped:
            name = f"{prefix}{node.name}"
            self.nodes[name] = with_inputs(self.nodes[name], mapped)

    def _add_loop(
        self,
        loop: Loop,
        node: NodeSpec,
        prefix: str,
        scope: Scope,
        *,
        bound: Mapping[str, str],
        conditions: tuple[Condition, ...],
    ) -> None:
        """Add the body of a loop, as it runs first and as it runs again."""
        check_body(loop, node)
        mapped = mapped_inputs(loop, node, prefix, self._faults)
        condition = loop_condition(loop, node, prefix)
        known = set(self.nodes)
        self._add_node(node, prefix, scope, bound=_NOTHING, conditions=conditions)
        again = _Planner(self._assets, FaultCollector(), self._known_code)  # finds the same faults
        again._add_node(node, prefix, scope, bound=_NOTHING, conditions=conditions, mapped=mapped)
        self.loops.append(
            PlannedLoop(
                name=f"{prefix}{loop.name}",
                body={name: without_last(again.nodes[name]) for name in self.nodes if name not in known},
                condition=condition,
                max_rounds=loop.max_iterations,
                exports={leaf_output(node, port, prefix, loop.place).port: name for port, name in bound.items()},
            )
        )

    def _add_job(
        self,
        node: NodeSpec,
        component: CommandSpec,
        prefix: str,
        scope: Scope,
        *,
        bound: Mapping[str, str],
        conditions: tuple[Condition, ...],
    ) -> None:
        """Add a node that runs a job, or several of the same component: a command, parallel or sweep node."""
        spec, sweep, num_workers = plan_kind(node, with_overrides(node, component, scope), scope, self._faults)
        searched = searched_names(node)
        inputs: dict[str, Source] = {}
        self._warn_of_unknown_inputs(node.name, node.inputs, spec.inputs, node.place)
        for name, given in node.inputs.items():
            if name not in spec.inputs:
                continue
            place = given.place or node.place.below("inputs", name)
            source: Source | None = UNKNOWN
            with self._faults.collecting(place):
                source = scope.resolve(given, place)
                if source is None and spec.inputs[name].is_required:
                    self._faults.add(f"The input {name} of {node.name} has no value.", place)
            if source is not None:
                inputs[name] = source
                if source is not UNKNOWN:
                    self._check_fit(spec.inputs[name], source, given, scope.declared(given), place)
                    with self._faults.collecting(source.place or place):
                        inputs[name] = _checked(spec.inputs[name], source)
        for name, port in spec.inputs.items():
            if port.is_required and name not in node.inputs and name not in searched:
                place = node.place.below("inputs", name)
                self._faults.add(f"The input {name} of {node.name} has no value.", place)
        variables = {}
        for name, text in node.environment_variables.items():
            with self._faults.collecting():
                variables[name] = scope.resolve(Given(text), node.place) or Source(("",))
        with self._faults.collecting():
            code = (spec.code, spec.additional_includes)  # listing its files takes long, and many nodes share it
            if code not in self._known_code:
                code_snapshot(spec)
                self._known_code.add(code)
        with self._faults.collecting(node.place):
            process_places(spec)
        with self._faults.collecting(node.place):
            _check_command(spec, {*inputs, *searched})
        sources = (*inputs.values(), *variables.values(), *(condition.source for condition in conditions))
        self.nodes[f"{prefix}{node.name}"] = PlannedNode(
            name=f"{prefix}{node.name}",
            spec=spec,
            inputs=inputs,
            environment_variables=variables,
            pipeline_outputs=bound,
            needs=frozenset(output.node for source in sources for output in source.outputs),
            sweep=sweep,
            num_workers=num_workers,
            conditions=conditions,
        )

    def _warn_of_unknown_inputs(
        self, owner: str, given: Mapping[str, Given], inputs: Mapping[str, InputSpec], place: SpecPlace
    ) -> None:
        for name, value in given.items():
            if name not in inputs:
                at = value.key_place or place.below("inputs", name)
                self._faults.warn("unknown-node-input", at, *unknown_input(owner, name, inputs))

    def _check_fit(
        self, port: InputSpec, source: Source, given: Given, declared: InputSpec | None, at: SpecPlace
    ) -> None:
        """Check the type of what is bound to `port`: an output, or the input of the pipeline that is `declared`."""
        bound: InputSpec | OutputOf | None = declared
        if source.outputs and len(source.parts) == 1:
            bound = source.outputs[0]
        if bound is not None and not types_fit(bound.type, port.type):
            rule, message, advice = type_mismatch(bound.name, bound.type, port.name, port.type)
            if rule == "data-mismatch":
                if not (port.is_data and source.is_path):  # a parameter without annotation may hold a path
                    self._faults.add(message, at, advice)
            elif port.is_data or isinstance(bound, OutputOf):  # a known literal is checked itself
                self._faults.warn(rule, at, message, advice)
        elif port.is_data and not source.is_path:
            message = f"{port.name} is a {port.type} and was given {shorten(given.text, 80)!r}."
            self._faults.add(message, at, "Write it as {type: ..., path: ...}.")
        elif given.is_path and not is_binding(given.text):
            mismatch = kind_mismatch(port, source.path(_NO_PATHS))
            if mismatch is not None:
                self._faults.warn("type-mismatch", at, *mismatch)


def _given(pipeline: PipelineSpec, inputs: Mapping[str, object]) -> dict[str, Given]:
    given = {}
    for name, value in inputs.items():
        if value is None:
            continue
        is_path = pipeline.inputs[name].is_data or isinstance(value, Path)
        text = str(value)
        if is_path and not is_reference(text):
            text = str(Path(text).absolute())
        given[name] = Given(text, is_path=is_path)
    return given


def _checked(port: InputSpec, source: Source) -> Source:
    """`source` as a value of `port`: a literal is parsed and rendered by the port's type; data must exist."""
    if source.outputs or (source.is_path and not port.is_data):  # values of nodes are checked when they are there
        return source
    if port.is_data:
        check_values(_spec_with(port), {port.name: source.path(_NO_PATHS)})
        return source
    return replace(source, parts=(str(parse_literal(port, source.text(_NO_PATHS))),))


def _default(port: InputSpec) -> Source | None:
    default = default_value(port)
    return None if default is None else Source((str(default),))


def _spec_with(port: InputSpec) -> CommandSpec:
    return CommandSpec(name=port.name, command="", source=Path(), inputs={port.name: port})


def _check_command(spec: CommandSpec, inputs: Collection[str]) -> None:
    shown: dict[str, str | Path] = {name: "" for name, port in spec.inputs.items() if port.default is not None}
    shown.update(dict.fromkeys(inputs, ""))
    required = {name: "" for name, port in spec.inputs.items() if port.is_required}  # reported where they are missing
    render_command(spec, {**required, **shown}, {name: Path(name) for name in spec.outputs})


def _pipeline_output(pipeline: PipelineSpec, name: str) -> tuple[str, str] | None:
    for node in pipeline.nodes.values():
        for port, bound in node.bound_outputs.items():
            if bound == name:
                return leaf_output(node, port, "", node.place).port
    return None


def _in_order(nodes: Mapping[str, PlannedNode], faults: FaultCollector, place: SpecPlace) -> dict[str, PlannedNode]:
    """The nodes, each after those that it needs."""
    ordered: dict[str, PlannedNode] = {}
    waiting = dict(nodes)
    while waiting:
        ready = [name for name, node in waiting.items() if not node.needs & waiting.keys()]
        if not ready:
            faults.add(f"Nodes wait for each other in a circle: {', '.join(_circle(waiting))}.", place)
            break
        ordered.update({name: waiting.pop(name) for name in ready})
    return ordered


def _circle(waiting: Mapping[str, PlannedNode]) -> list[str]:
    path = [next(iter(waiting))]
    while path.count(path[-1]) == 1:
        path.append(next(name for name in waiting if name in waiting[path[-1]].needs))
    return path[path.index(path[-1]) :]
