"""Plan of a node by its kind: the job that a command or parallel node runs, and how a sweep chooses its trials."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.harness.node_kinds.parallel_command import parallel_command, read_parallel
from pytorch_designer.harness.node_kinds.sweep_settings import check_search_space, read_sweep, sweep_trial
from pytorch_designer.harness.schema.binding_scope import UNKNOWN
from pytorch_designer.harness.schema.bindings import is_bound
from pytorch_designer.harness.schema.pipeline_specification import Given
from pytorch_designer.harness.schema.specification import Distribution, InputSpec, Resources
from pytorch_designer.harness.schema.values import parse_literal
from pytorch_designer.harness.schema.yaml_tree import parse_yaml
from pytorch_designer.harness.sweep.sampling import needs_optuna

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.schema.binding_scope import Scope
    from pytorch_designer.harness.schema.pipeline_specification import NodeSpec
    from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.harness.schema.yaml_tree import Value


_NOT_SETTINGS = frozenset({"inputs", "outputs", "trial", "component", "task", "input_data"})


def plan_kind(
    node: NodeSpec, spec: CommandSpec, scope: Scope, faults: FaultCollector
) -> tuple[CommandSpec, SweepSettings | None, int]:
    """The job of a node, how a sweep chooses its trials, and the number of workers of a parallel job.

    Args:
        node: The node.
        spec: Its component, with the node's overrides.
        scope: The pipeline, to whose inputs settings may be bound.
        faults: Gets what is wrong with the settings of its kind.
    """
    if node.definition is None:
        return spec, None, 1
    definition = _resolved(node.definition, scope)
    if node.kind == "parallel":
        owners = [owner for owner in (definition, spec.definition) if owner is not None]
        parallel = read_parallel(owners, spec, faults)
        if parallel is None:
            return spec, None, 1
        command, num_workers = parallel_command(spec, parallel)
        return command, None, num_workers
    sweep = read_sweep(definition, faults)
    if sweep is None:
        return spec, None, 1
    if needs_optuna(sweep):
        with faults.collecting():
            raise node.place.unsupported(
                f"The sweep {node.name} needs Optuna, which is not installed.",
                "Install it: pip install optuna scipy.",
            )
    check_search_space(spec, definition, sweep, faults)
    return sweep_trial(spec, sweep), sweep, 1


def _resolved(definition: Value, scope: Scope) -> Value:
    """The settings with values for what is bound to inputs of the pipeline; with such bindings they have no lines."""
    settings = {key: value for key, value in definition.children.items() if key not in _NOT_SETTINGS}
    if not any(is_bound(text.text or "") for value in settings.values() for text in (value, *value.texts())):
        return definition

    def known(plain: Any) -> Any:
        if isinstance(plain, dict):
            return {key: known(value) for key, value in plain.items()}
        if isinstance(plain, list):
            return [known(value) for value in plain]
        if not isinstance(plain, str) or not is_bound(plain):
            return plain
        return _known(scope, {"": plain}, definition.key_place).get("")

    plain = {**definition.plain, **{key: known(value.plain) for key, value in settings.items()}}
    text = yaml.safe_dump(plain, sort_keys=False)
    return parse_yaml(text, definition.source.path, has_lines=False, keys=definition.keys).root


def searched_names(node: NodeSpec) -> frozenset[str]:
    """The inputs of the trial that a sweep gives values, also where its search space has faults; else none."""
    space = None if node.kind != "sweep" or node.definition is None else node.definition.get("search_space")
    return frozenset() if space is None else frozenset(space.children)


def with_overrides(node: NodeSpec, component: CommandSpec, scope: Scope) -> CommandSpec:
    """The component of a node with what the node says instead.

    Raises:
        InvalidSpecError: A setting is wrong, or has no value before the pipeline runs.
    """
    resources = _known(scope, node.resources, node.place)
    distribution = _known(scope, node.distribution, node.place)
    limits = _known(scope, node.limits, node.place)
    count = "instance_count"
    per_node = distribution.get("process_count_per_instance", distribution.get("process_count_per_node", "1"))
    return replace(
        component,
        resources=Resources(
            instance_count=_count(resources[count], count, node)
            if count in resources
            else component.resources.instance_count,
            shm_size=resources.get("shm_size", component.resources.shm_size),
        ),
        distribution=Distribution(
            distribution.get("type", "").lower(), _count(per_node, "process_count_per_instance", node)
        )
        if distribution
        else component.distribution,
        timeout_seconds=_count(limits["timeout"], "timeout", node)
        if limits.get("timeout")
        else component.timeout_seconds,
        environment=component.environment if node.environment is None else node.environment,
        outputs={
            name: replace(port, mode=node.output_modes.get(name, port.mode)) for name, port in component.outputs.items()
        },
    )


def _known(scope: Scope, texts: Mapping[str, str], place: SpecPlace) -> dict[str, str]:
    """The values of settings, which must be known before the pipeline runs; those at fault are left out."""
    known = {}
    for name, text in texts.items():
        source = scope.resolve(Given(text), place)
        if source is None or source.outputs:
            raise place.error(f"{text} has no value before the pipeline runs.")
        if source is not UNKNOWN:
            known[name] = source.text({})
    return known


def _count(text: str, name: str, node: NodeSpec) -> int:
    port = InputSpec(name, "integer", minimum=1)
    return int(parse_literal(port, text))
