"""Report of a process to benchmarks/startup.py at its first step."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NoReturn

STARTED_AT = "BENCHMARK_STARTED_AT"
"""Environment variable: `time.time()` when the process was started."""

LATE_LIBRARIES = ("mlflow", "matplotlib", "pyarrow", "azure", "pandas", "sklearn")


def report_and_end() -> NoReturn:
    """Print the time since the process was started as the last line, and end the process."""
    seconds = time.time() - float(os.environ[STARTED_AT])
    libraries = [name for name in LATE_LIBRARIES if name in sys.modules]
    print(json.dumps({"seconds": seconds, "cpu_seconds": time.process_time(), "libraries": libraries}), flush=True)
    os._exit(0)
