"""Order to run a pipeline: what the page asked for, kept in the run folder before the run starts.

RUN/.designer/order.json     document, its exact text, and what is to run
RUN/.designer/console.txt    what the program that runs it prints
RUN/.designer/error.json     why it was refused, if it was
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnknownNameError
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.lint.linter import findings_for_run
from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.reuse.reuse_cache import chosen_cache
from pytorch_designer.harness.schema.yaml_tree import parse_yaml
from pytorch_designer.storage.bounded_documents import read_json
from pytorch_designer.storage.output import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest

ORDER_FOLDER = ".designer"
CONSOLE_FILE = "console.txt"
ERROR_FILE = "error.json"
_ORDER_FILE = "order.json"
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class RunOrder:
    """Order to run a pipeline.

    Attributes:
        document: Its file, absolute. Relative paths in the text start from its folder.
        text: Its text, which may be newer or older than that of the file.
        version: The version that the text is.
        only: The nodes that run; see `pipeline_request.PipelineOptions`, also for the next two.
        start_from: Run these nodes and all that need them.
        up_to: Run these nodes and all that they need.
        is_forced: Whether nodes run even if their results are kept.
        faults: Faults to inject, by node, as `run --fault` takes them.
    """

    document: str
    text: str
    version: str = ""
    only: tuple[str, ...] = ()
    start_from: tuple[str, ...] = ()
    up_to: tuple[str, ...] = ()
    is_forced: bool = False
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, run_folder: Path) -> None:
        """Write the order into a run folder.

        Raises:
            OSError: It cannot be written.
        """
        folder = run_folder / ORDER_FOLDER
        folder.mkdir(exist_ok=True)
        write_atomically(folder / _ORDER_FILE, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, run_folder: Path) -> RunOrder:
        """The order in a run folder.

        Raises:
            UnknownNameError: There is none, or it cannot be read.
        """
        path = run_folder / ORDER_FOLDER / _ORDER_FILE
        try:
            plain = read_json(path, _MAX_BYTES, UnknownNameError)
            lists = {name: tuple(plain[name]) for name in ("only", "start_from", "up_to")}
            faults = {node: tuple(texts) for node, texts in plain["faults"].items()}
            return cls(**{**plain, **lists, "faults": faults})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnknownNameError(
                f"The order of the run cannot be read: {error}.", where=path, advice="Start the run again."
            ) from error


def checked_request(order: RunOrder, run_folder: Path) -> PipelineRequest:
    """The checked pipeline of an order, without an MLflow store.

    Raises:
        DesignerError: It cannot be run as it is; all faults at once.
    """
    document = parse_yaml(order.text, Path(order.document))
    findings = findings_for_run(document)
    with findings.joined():
        return prepare_pipeline(
            document,
            run_folder=run_folder,
            cache=chosen_cache(),
            only=order.only,
            start_from=order.start_from,
            up_to=order.up_to,
            force_rerun=order.is_forced,
            explains=True,
            faults={node: parse_faults(texts) for node, texts in order.faults.items()},
            source_text=order.text,
        )
