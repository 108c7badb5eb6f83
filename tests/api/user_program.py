"""Program of a user, for mypy in its strict form (tests/test_public_names.py); an error it must find is ignored.

An `ignore` that is not needed is an error, so that each of them is a mistake that the types tell.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import pytorch_designer
from pytorch_designer import Prediction, TrainedModel, errors

if TYPE_CHECKING:
    import pandas as pd


def right() -> None:
    """Uses of all functions."""
    run = pytorch_designer.train("photos", model_name="resnet18", epochs=5, output=Path("trained"), cache_bytes=0)
    model: TrainedModel = run.model
    one: Prediction = model.predict("cat.jpg")
    many: list[Prediction] = model.predict([Path("cat.jpg"), b"...", np.zeros((8, 8, 3), np.uint8)])
    label: str = one.label
    accuracy: float = run.metrics["accuracy"] + run.history[-1].validation.top1
    images = pytorch_designer.open_images("photos", layout="class-folders")
    shape: tuple[int, ...] = images[0].pixels.shape
    first: str | None = images[:5][0].label
    frame: pd.DataFrame = model.predict_frame("photos")
    evaluation = pytorch_designer.evaluate(pytorch_designer.score(model, "photos", device="cpu"), output="evaluation")
    print(many, label, accuracy, shape, first, frame, evaluation.accuracy)
    try:
        pytorch_designer.run_pipeline("pipeline.yaml").assert_succeeded()
    except errors.InvalidSpecError as error:
        print(error.faults, pytorch_designer.lint("pipeline.yaml").num_errors)


def wrong() -> None:
    """Mistakes."""
    pytorch_designer.train("photos", epoch=5)  # type: ignore[call-arg]  # the mistake
    pytorch_designer.train("photos", precision="fp16")  # type: ignore[arg-type]  # the mistake
    pytorch_designer.load_model(5)  # type: ignore[arg-type]  # the mistake
    pytorch_designer.evaluate(5)  # type: ignore[arg-type]  # the mistake
    pytorch_designer.nothing()  # type: ignore[operator]  # the mistake
