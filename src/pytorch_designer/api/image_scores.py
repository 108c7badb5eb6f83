"""Scores of images: Score Image Model from Python."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pytorch_designer.api.library_calls import ResultFolder, kept_process, library_call, path_argument
from pytorch_designer.api.loaded_model import TrainedModel
from pytorch_designer.wording import count

if TYPE_CHECKING:
    import os

    import pandas as pd
    from typing_extensions import Unpack

    from pytorch_designer.api.library_calls import RuntimeOptions

PORTS = {"trained_model": "model", "dataset": "images", "scored_dataset": "output"}
_MAX_ROWS_SHOWN = 10
_MAX_CLASSES_SHOWN = 5


class ImageScores:
    """Scores of the images of a dataset, as Score Image Model has written them.

    Attributes:
        path: The folder with them, a DataFrameDirectory (docs/formats.md). Where no output was named, it is a temporary
            one that is removed with this object.
    """

    def __init__(self, folder: ResultFolder) -> None:
        """Open existing scores.

        Args:
            folder: Their folder.
        """
        self._folder = folder
        self.path = folder.path

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per image, in the order of the dataset.

        Columns: `id`, `file`, `category` (the label, where images have one), `Scored Probabilities_<class>` for each
        class, `Scored Labels`. An image that could not be scored has no values in the last ones.
        """
        import pandas as pd

        from pytorch_designer.directories.scores.data_frame_directory import DATA_FILE

        return pd.read_parquet(self.path / DATA_FILE)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}: {count(len(self), 'image')}>"

    @kept_process()
    def _repr_html_(self) -> str:
        """The first rows, and how many images each class was predicted for, for a notebook."""
        from pytorch_designer.api.notebook_page import NotebookTable, notebook_page
        from pytorch_designer.directories.scores.data_frame_schema import FILE_COLUMN, LABEL_COLUMN, SCORED_LABEL_COLUMN

        frame = self.frame
        predicted = frame[SCORED_LABEL_COLUMN].value_counts()
        numbers = {"Images": f"{len(frame):,}"}
        numbers |= {f"as {name}": f"{number:,}" for name, number in predicted.head(_MAX_CLASSES_SHOWN).items()}
        probabilities = frame[[name for name in frame if str(name).startswith("Scored Probabilities_")]].max(axis=1)
        columns = [name for name in (FILE_COLUMN, LABEL_COLUMN, SCORED_LABEL_COLUMN) if name in frame]
        shown = frame[columns].assign(Probability=probabilities.map("{:.4f}".format)).head(_MAX_ROWS_SHOWN)
        rows = [[str(cell) for cell in row] for row in shown.itertuples(index=False)]
        more = f"The first {len(rows)} of {len(frame):,} images. " if len(frame) > len(rows) else ""
        remark = f"{more}All columns: .frame"
        return notebook_page(
            "Scores", remark=remark, numbers=numbers, table=NotebookTable([str(name) for name in shown], rows)
        )


def score(
    model: TrainedModel | str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    device: str | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
    **options: Unpack[RuntimeOptions],
) -> ImageScores:
    """Score all images of a dataset with a trained model, as Score Image Model does.

        scores = pytorch_designer.score("trained", "photos")
        scores.frame                            # pandas: file, probability of each class, predicted class

    Args:
        model: A trained model: its folder, or what `load_model` has returned, whose device and precision then count.
        images: Any dataset that `open_images` opens, labeled or not.
        output: New or empty folder for the scores; None: a temporary one.
        device: "cpu", "gpu", "cuda:1" and so on; None: what PYTORCH_DESIGNER_DEVICE says, or a GPU where there is one.
        precision: "fp32" or "bf16"; None: what PYTORCH_DESIGNER_PRECISION says, or as in the model's validation.
        options: See `RuntimeOptions`.

    Raises:
        InvalidModelDirectoryError: The model is unusable.
        InvalidDatasetError: The images are not a dataset, or none of them can be read.
        FailedToWriteOutputsError: The output is occupied, inside an input, or cannot be written.
        ModuleOutOfMemoryError: The device has too little memory.
        ParameterError: An argument has the wrong type or is out of range.
    """
    from pytorch_designer.components import score_image_model
    from pytorch_designer.storage.output import check_outputs

    if isinstance(model, TrainedModel):
        device, precision = device or model.device, precision or model.precision
    with library_call("score", {"device": device, "precision": precision, **options}, ports=PORTS):
        inputs = {
            "trained_model": model.path if isinstance(model, TrainedModel) else path_argument(model, "model"),
            "dataset": path_argument(images, "images"),
        }
        folder = ResultFolder(output)
        outputs = {"scored_dataset": folder.path}
        check_outputs(outputs, inputs)
        score_image_model.run(inputs, outputs, score_image_model.ScoreImageModelParameters())
    return ImageScores(folder)
