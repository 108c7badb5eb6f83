"""Range test of the learning rate on a folder: the inputs of `train`, without a trained model."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.api.folder_training import FolderParameters, FolderRequest, new_model, open_datasets
from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.system.places import check_temporary_folder

if TYPE_CHECKING:
    from pytorch_designer.training.rate_search.rate_curve import RateSuggestion


class RateSearchParameters(FolderParameters):
    """The parameters of a range test: those of training that matter to it, and its steps."""

    epochs: int = Field(
        5, ge=1, description="Epochs of the run that the rate is for. The test does not take longer with more."
    )
    batch_size: int = Field(16, ge=1, description="How many images to train on in one step.")
    steps: int = Field(100, ge=20, le=10000, description="Steps, over which the rate grows from 0.00001 to 1.")


def find_rate(request: FolderRequest[RateSearchParameters]) -> RateSuggestion:
    """Run a range test on the training images of a request, and write its page.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    check_temporary_folder()
    request.check_output()
    with ExitStack() as stack:
        # Faults of the inputs show here, before torch is imported, which takes seconds.
        data = open_datasets(stack, request)
        model = new_model(stack, request.parameters) if request.model is None else open_model_directory(request.model)
        from pytorch_designer.training.rate_search.rate_search_run import search_learning_rate

        return search_learning_rate(
            model=model,
            datasets=data.datasets,
            output=request.output,
            is_overwriting=request.is_overwriting,
            num_epochs=request.parameters.epochs,
            batch_size=request.parameters.batch_size,
            random_seed=request.parameters.random_seed,
            num_steps=request.parameters.steps,
        )
