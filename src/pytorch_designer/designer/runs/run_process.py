"""Program that runs one pipeline for the page, in a process of its own that goes on when the server ends.

    python -m pytorch_designer.designer.runs.run_process RUN

The order is in the run folder (`run_order`). What the program prints goes to `RUN/.designer/console.txt`.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

from pytorch_designer.designer.runs.run_order import ERROR_FILE, ORDER_FOLDER, RunOrder, checked_request
from pytorch_designer.errors import DesignerError, InterruptedRunError
from pytorch_designer.harness.job.leftover_processes import adopted_orphans
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline.pipeline_run import run_plan
from pytorch_designer.harness.pipeline.run_recording import SilentView
from pytorch_designer.mlflow_database import DATABASE_FILE
from pytorch_designer.storage.output import write_atomically
from pytorch_designer.system.openmp import bound_spinning
from pytorch_designer.system.places import complete_environment
from pytorch_designer.system.stop_requests import stop_on_signals

_SIGNAL_BASE = 128


def main(arguments: list[str]) -> int:
    """Run the pipeline of the run folder `arguments[0]`.

    Returns:
        0, 1 where a node failed or the pipeline was refused, 128 + n after signal n.
    """
    complete_environment()
    bound_spinning()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run_folder = Path(arguments[0])
    try:
        with adopted_orphans(), stop_on_signals() as stop:
            request = checked_request(RunOrder.read(run_folder), run_folder)
            store = open_run_store(Path(DATABASE_FILE), request.experiment)
            return run_plan(replace(request, store=store), SilentView(), stop).exit_code
    except InterruptedRunError as error:
        print(error, flush=True)
        return _SIGNAL_BASE + error.signal_number
    except DesignerError as error:
        print(error, flush=True)
        write_atomically(run_folder / ORDER_FOLDER / ERROR_FILE, json.dumps(error.to_dict()).encode())
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
