"""Which processes a job consists of, and the variables that tell each its place, as Azure ML sets them.

Azure ML starts `process_count_per_instance` processes on each of `instance_count` nodes itself. Here all nodes are this
machine; each simulated node has its own working directory, and all processes meet on a free port of the loopback
interface.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedLocallyError

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.specification import CommandSpec

LOOPBACK = "127.0.0.1"
VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK")


@dataclass(frozen=True)
class Place:
    """The place of one process in its job, all counted from 0."""

    rank: int
    local_rank: int
    node_rank: int


def process_places(spec: CommandSpec) -> tuple[Place, ...]:
    """The place of every process of a job of `spec`, by rank.

    Raises:
        UnsupportedLocallyError: Its processes need a launcher (MPI, TensorFlow, Ray), or it has several nodes without
            saying how they work together.
    """
    if spec.num_processes > 1 and (spec.distribution is None or spec.distribution.type != "pytorch"):
        kind = "no distribution" if spec.distribution is None else f"distribution {spec.distribution.type!r}"
        raise UnsupportedLocallyError(
            f"{spec.name} asks for {spec.num_processes} processes with {kind}; only 'pytorch' can run here.",
            where=spec.source,
            advice="Use `distribution: {type: pytorch}`, or one process on one instance.",
        )
    per_node = spec.num_processes // spec.resources.instance_count
    return tuple(Place(rank, rank % per_node, rank // per_node) for rank in range(spec.num_processes))


def distribution_variables(spec: CommandSpec, place: Place, port: int) -> dict[str, str]:
    """What Azure ML sets for `distribution: pytorch`, with one process too; empty without a distribution."""
    if spec.distribution is None or spec.distribution.type != "pytorch":
        return {}
    return {
        "MASTER_ADDR": LOOPBACK,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(spec.num_processes),
        "RANK": str(place.rank),
        "LOCAL_RANK": str(place.local_rank),
        "NODE_RANK": str(place.node_rank),
    }


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port
