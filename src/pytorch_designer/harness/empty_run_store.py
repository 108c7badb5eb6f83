"""Makes an empty MLflow database: `python -m pytorch_designer.harness.empty_run_store FILE`; see `run_store`."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Let MLflow create its tables in the file that the command line names."""
    from mlflow import MlflowClient

    database = Path(sys.argv[1]).absolute()
    MlflowClient(tracking_uri=f"sqlite:///{database.as_posix()}").search_experiments()


if __name__ == "__main__":
    main()
