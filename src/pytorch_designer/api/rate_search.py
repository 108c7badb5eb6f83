"""Range test of the learning rate on a folder: the inputs of `train`, without a trained model."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.api.folder_training import FolderTrainingParameters, TrainRequest, new_model, open_datasets
from pytorch_designer.components.image_model import ImageModelParameters
from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.storage.output import check_outputs
from pytorch_designer.system.places import check_temporary_folder

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.training.rate_search.rate_curve import RateSuggestion


class RateSearchParameters(ImageModelParameters):
    """The parameters of a range test: those of training that matter to it, and its steps."""

    model_name: str = Field("resnet18", description="The network: any classifier of torchvision by name.")
    batch_size: int = Field(16, ge=1, description="How many images to train on in one step.")
    random_seed: int = Field(1, description="The same seed, data and machine give the same curve. Any whole number.")
    fraction: float = Field(
        0.9, ge=0, le=1, description="Share of the images to train on, where no validation images are given."
    )
    steps: int = Field(100, ge=20, le=10000, description="Steps, over which the rate grows from 0.00001 to 1.")


@dataclass(frozen=True)
class RateSearchRequest:
    """Request for a range test.

    Attributes:
        images: Images to train on: anything that Train PyTorch Model takes, or a folder of splits.
        validation: Images that training would validate with; None for a split of `images`, or a part of them.
        model: Model to train: untrained, or a trained one to fine-tune; None for the one of `parameters.model_name`.
        output: Where page and numbers go.
        is_augmented: Whether training uses the transforms that Init Image Transformation lists by default.
        is_overwriting: Whether an earlier result in `output` is replaced.
        parameters: The parameters.
    """

    images: Path
    validation: Path | None
    model: Path | None
    output: Path
    is_augmented: bool
    is_overwriting: bool
    parameters: RateSearchParameters


def find_rate(request: RateSearchRequest) -> RateSuggestion:
    """Run a range test on the training images of a request, and write its page.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    check_temporary_folder()
    optional = {"model": request.model, "validation images": request.validation}
    inputs = {"images": request.images} | {name: path for name, path in optional.items() if path is not None}
    check_outputs({"output": request.output}, inputs, keeps_results=True)
    training = TrainRequest(
        images=request.images,
        validation=request.validation,
        model=request.model,
        output=request.output,
        is_augmented=request.is_augmented,
        is_overwriting=False,
        parameters=FolderTrainingParameters(**request.parameters.model_dump(exclude={"steps"})),
    )
    with ExitStack() as stack:
        # Faults of the inputs show here, before torch is imported, which takes seconds.
        data = open_datasets(stack, training)
        model = None if request.model is None else open_model_directory(request.model)
        if model is None:
            model = new_model(stack, training.parameters)
        from pytorch_designer.training.rate_search.rate_search_run import search_learning_rate

        return search_learning_rate(
            model=model,
            datasets=data.datasets,
            output=request.output,
            is_overwriting=request.is_overwriting,
            batch_size=request.parameters.batch_size,
            random_seed=request.parameters.random_seed,
            num_steps=request.parameters.steps,
        )
