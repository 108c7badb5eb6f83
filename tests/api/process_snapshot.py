"""Snapshot of all that belongs to a process, before and after each call of the Python API."""

from __future__ import annotations

import csv
import gc
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

import pytorch_designer

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")


def snapshot() -> dict[str, Any]:
    """Everything by name; values can be compared."""
    state: Any = np.random.get_state()  # noqa: NPY002 - the state of the process
    utilities: Any = torch.utils.deterministic
    return {
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": utilities.fill_uninitialized_memory,
        "matmul": torch.get_float32_matmul_precision(),
        "cudnn": [getattr(torch.backends.cudnn, name) for name in ("benchmark", "deterministic", "enabled")],
        "dtype": torch.get_default_dtype(),
        "grad": [torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")],
        "torch random": torch.get_rng_state().tolist(),
        "seed": torch.initial_seed(),
        "gpu random": [item.tolist() for item in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "gpu": torch.cuda.current_device() if torch.cuda.is_available() else None,
        "numpy random": [state[0], state[1].tolist(), *state[2:]],
        "random": random.getstate(),
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "files": sorted(path.name for path in Path().iterdir()),
        "signals": [signal.getsignal(getattr(signal, name)) for name in SIGNALS],
        "root handlers": list(logging.getLogger().handlers),
        "root level": logging.getLogger().level,
        "loggers": [
            (logging.getLogger(name).level, list(logging.getLogger(name).handlers), logging.getLogger(name).propagate)
            for name in ("pytorch_designer", "matplotlib", "PIL", "mlflow")
        ],
        "filters": list(warnings.filters),
        "csv": csv.field_size_limit(),
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "path": list(sys.path),
        "hooks": [sys.excepthook, threading.excepthook, sys.unraisablehook, sys.stdout, sys.stderr],
        "python threads": sorted(thread.name for thread in threading.enumerate()),
        "temporary": sorted(path.name for path in Path(tempfile.gettempdir()).glob("*designer*")),
        "locale": locale.setlocale(locale.LC_ALL),
        "drawing": dict(mpl.rcParams),
        "recursion": sys.getrecursionlimit(),
        "printing": np.get_printoptions(),
    }


def changes_by_call(folder: Path, model: Path) -> list[str]:
    """Names of what each call has changed in this process, which is a new one; one line per call."""
    (folder / "here").mkdir()
    (folder / "tmp").mkdir()
    os.chdir(folder / "here")
    os.environ["TMPDIR"] = str(folder / "tmp")
    del os.environ["PYTORCH_DESIGNER_NUM_THREADS"]
    tempfile.tempdir = None  # is read from the variable again
    found = []
    torch.manual_seed(7)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    mpl.rcParams["font.size"] = 13
    images = str(folder / "photos" / "train")
    loaded = pytorch_designer.load_model(model, device="cpu")
    loaded.predict(pytorch_designer.open_images(images)[0])
    network: Any = {"model_name": "shufflenet_v2_x0_5", "pretrained": False}
    outputs = folder / "outputs"
    run = pytorch_designer.train(images, epochs=1, output=outputs / "a", **network)
    run.model.predict(images + "/0/000.png")  # which has threads as long as the run is there
    scores = pytorch_designer.score(model, images)
    evaluation = pytorch_designer.evaluate(scores)
    calls: dict[str, Callable[[], object]] = {
        "train": lambda: pytorch_designer.train(images, epochs=1, output=outputs / "b", **network),
        "refused": lambda: pytorch_designer.train(images, epochs=0),
        "diverged": lambda: pytorch_designer.train(
            images,
            epochs=2,
            learning_rate=1e30,
            output=outputs / "c",
            **network,
        ),
        "load_model": lambda: pytorch_designer.load_model(model, device="cpu") and None,
        "predict": lambda: loaded.predict(pytorch_designer.open_images(images)[0]),
        "predict_frame": lambda: loaded.predict_frame(images),
        "score": lambda: pytorch_designer.score(model, images).frame,
        "evaluate": lambda: pytorch_designer.evaluate(scores).metrics,
        "open_images": lambda: list(pytorch_designer.open_images(images)),
        "show": lambda: [item._repr_html_() for item in (run, scores, evaluation)],
    }
    for name, call in calls.items():
        before = snapshot()
        try:
            call()
        except pytorch_designer.errors.DesignerError as error:
            found.append(type(error).__name__)
        gc.collect()
        after = snapshot()
        deadline = time.monotonic() + 10
        while after["python threads"] != before["python threads"] and time.monotonic() < deadline:
            time.sleep(0.02)  # a thread that was told to end ends soon, on a busy machine too
            after = snapshot()
        found.append(f"{name} {[key for key in before if str(before[key]) != str(after[key])]}")
    return found
