"""Score Image Model: a trained model and images in, a probability for each class and image out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.imports import quick_import
from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ScoreImageModelParameters(Parameters):
    """Score Image Model has no parameters."""


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: ScoreImageModelParameters) -> None:
    """Write the scores; see `pytorch_designer.scoring.scoring_run.score_images`."""
    from pytorch_designer.directories.image_directory import open_image_source
    from pytorch_designer.directories.model_directory import open_trained_model_directory
    from pytorch_designer.directories.summary import log_summary
    from pytorch_designer.storage.output import open_output
    from pytorch_designer.system.places import check_temporary_folder

    check_temporary_folder()
    apart_from = {"the dataset": inputs["dataset"], "the trained model": inputs["trained_model"]}
    directory = open_trained_model_directory(inputs["trained_model"])
    with (
        open_output(outputs["scored_dataset"], apart_from=apart_from) as output,
        open_image_source(inputs["dataset"], takes_other_tasks=True) as images,
    ):
        log_summary(images)
        with quick_import("torch"):  # here, so that faults of the directories show before
            from pytorch_designer.scoring.scoring_run import score_images

        score_images(directory, images, output)


COMPONENT = Component(
    name="score_image_model",
    display_name="Score Image Model",
    category="Model Scoring & Evaluation",
    description="Scores images with a trained image classification model, also of the old designer's: the "
    "probability of each class and the most probable class of each image, in the order of the images, as Parquet and "
    "CSV. An image file that cannot be read keeps its row, with empty scores.",
    inputs=(
        Port("trained_model", DirectoryType.MODEL, "The output of Train PyTorch Model, also of the old designer's."),
        Port(
            "dataset",
            DirectoryType.IMAGES,
            "The images to score: an image directory, or a folder of images, labeled or not. Labels are kept in the "
            "output, where Evaluate Model finds them.",
        ),
    ),
    outputs=(
        Port(
            "scored_dataset",
            DirectoryType.DATA_FRAME,
            "One row per image: id, file, label where there is one, the probability of each class, and the predicted "
            "class.",
        ),
    ),
    parameters=ScoreImageModelParameters,
    run=run,
)
