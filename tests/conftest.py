"""What every test runs under: one computing thread, and no variables of the person who runs them.

The suite runs in several processes on few cores. Threads that wait for each other there spin against the neighbour's
work and can be forty times slower than a single one.
"""

from __future__ import annotations

import os

for _name in [name for name in os.environ if name.startswith(("PYTORCH_DESIGNER_", "MLFLOW_", "AZUREML_"))]:
    del os.environ[_name]
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTORCH_DESIGNER_NUM_THREADS"] = "1"
