"""Forecast of each node for the page: whether a run would reuse its result, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.reuse_forecast import forecast
from pytorch_designer.harness.reuse.reuse_cache import chosen_cache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_STATES = {True: "reused", False: "runs", None: "depends"}


def node_forecasts(
    file: Path,
    project: Path,
    *,
    only: Sequence[str] = (),
    start_from: Sequence[str] = (),
    up_to: Sequence[str] = (),
    is_forced: bool = False,
) -> dict[str, Any]:
    """Forecast for each node that a run would include: `{NODE: {state, reason, reused_from}}`.

    Nodes of nested pipelines are called `outer.inner`, as in a run.

    Raises:
        DesignerError: The pipeline cannot be run as it is.
    """
    request = prepare_pipeline(
        file,
        run_folder=project / "runs" / file.stem,
        cache=chosen_cache(),
        only=only,
        start_from=start_from,
        up_to=up_to,
        force_rerun=is_forced,
    )
    return {
        name: {"state": _STATES[node.is_reused], "reason": node.reason, "reused_from": node.reused_from}
        for name, node in forecast(request).items()
    }
