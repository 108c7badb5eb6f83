"""Training from Python: the function `train`, and the run that it returns."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pytorch_designer.api.library_calls import ResultFolder, kept_process, library_call, path_argument
from pytorch_designer.errors import InvalidModelDirectoryError, ParameterParsingError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from typing_extensions import Unpack

    from pytorch_designer.api.library_calls import RuntimeOptions
    from pytorch_designer.api.loaded_model import TrainedModel
    from pytorch_designer.api.model_evaluation import ModelEvaluation
    from pytorch_designer.api.notebook_page import PagePicture
    from pytorch_designer.training.history import EpochRecord, RunSummary

# An argument that names a folder is said as the command and the component say it, too.
_PORTS = {
    "training_dataset": "images",
    "validation_dataset": "validation",
    "untrained_model": "model",
    "trained_model": "output",
    "dataset": "images",
    "overwrite": "overwrite",
}
_PROGRAM = "pytorch-designer"


class TrainedRun:
    """A training that has ended, by its result.

    Attributes:
        path: The folder of the trained model.
        classes: Names of the classes, in the order of the model's probabilities.
        history: A record per epoch: `epoch`, `training` and `validation` (each with `loss` in nats, `top1` and `top5`
            as shares of 0 to 1, `num_images`), `balanced_accuracy`, `learning_rate`, `images_per_second`, `seconds`.
            It begins with epoch 0, a validation before training, where the start of the classifier was computed.
        best_epoch: Number of the epoch whose weights the model has, that of the highest validation accuracy; 0: those
            before training.
        stop_reason: A sentence: why training ended.
    """

    def __init__(self, path: Path, images: Path, *, device: str | None = None, precision: str | None = None) -> None:
        """Read the report of a run.

        Args:
            path: The folder of the trained model.
            images: Images that can be scored, for pictures.
            device: The device that was asked for.
            precision: The precision that was asked for.

        Raises:
            InvalidModelDirectoryError: The report cannot be read.
        """
        from pytorch_designer.training.report.training_report import read_summary

        try:
            summary = read_summary(path / "report")
        except (OSError, ValueError) as error:
            raise InvalidModelDirectoryError(
                "The report of the training run cannot be read.", where=path / "report", examples=[error]
            ) from error
        self._summary: RunSummary = summary
        self._images = images
        self._device, self._precision = device, precision
        self.path = path
        self.classes = summary.classes
        self.history: tuple[EpochRecord, ...] = summary.history
        self.best_epoch = summary.best_epoch
        self.stop_reason = summary.stop_reason

    @property
    def metrics(self) -> dict[str, float]:
        """Validation metrics of the model: `accuracy`, `balanced_accuracy`, `top5_accuracy` (0 to 1), `loss` (nats)."""
        best = self._summary.best.validation
        return {
            "accuracy": best.top1,
            "balanced_accuracy": self._summary.balanced_accuracy,
            "top5_accuracy": best.top5,
            "loss": best.loss,
        }

    @property
    def report(self) -> Path:
        """The page of the report, for a browser."""
        return self.path / "report" / "index.html"

    @property
    def test(self) -> ModelEvaluation | None:
        """The evaluation of the test images; None where the images had no labeled test split."""
        from pytorch_designer.api.folder_training import EVALUATION_FOLDER
        from pytorch_designer.api.model_evaluation import ModelEvaluation
        from pytorch_designer.storage.output import META_FILE
        from pytorch_designer.training.report.earlier_result import TEST_FOLDER

        folder = self.path / TEST_FOLDER / EVALUATION_FOLDER
        return ModelEvaluation(ResultFolder(folder)) if (folder / META_FILE).is_file() else None

    @cached_property
    def model(self) -> TrainedModel:
        """The trained model, loaded when it is first asked for; raises what `load_model` raises."""
        from pytorch_designer.api.loaded_model import load_model

        precision: Any = self._precision
        return load_model(self.path, device=self._device, precision=precision)

    def history_frame(self) -> pd.DataFrame:
        """The history with a row per epoch and a column per number (report/history.csv)."""
        import pandas as pd

        return pd.read_csv(self.path / "report" / "history.csv")

    def __repr__(self) -> str:
        accuracy = self._summary.best.validation.top1
        return f"<{type(self).__name__} {self.path}: best epoch {self.best_epoch}, validation accuracy {accuracy:.4f}>"

    @kept_process()
    def _repr_html_(self) -> str:
        """The metrics, the curves and a few images with predictions, for a notebook."""
        from pytorch_designer.api.notebook_page import notebook_page
        from pytorch_designer.reporting.numbers import decimal, duration, percent
        from pytorch_designer.training.report.training_report import training_curves

        metrics = self.metrics
        return notebook_page(
            f"{percent(metrics['accuracy'])} validation accuracy",
            remark=f"{self.stop_reason} The report is {self.report}.",
            numbers={
                "Balanced accuracy": percent(metrics["balanced_accuracy"]),
                "Validation loss": decimal(metrics["loss"]),
                "Best epoch": f"{self.best_epoch} of {len(self._summary.trained)}",
                "Images": f"{self._summary.best.validation.num_images:,}",
                "Duration": duration(sum(record.seconds for record in self.history)),
            },
            charts={name.capitalize(): chart for name, chart in training_curves(self._summary).items()},
            pictures=self._pictures(),
        )

    def _pictures(self) -> Iterator[PagePicture]:
        """A few images with what the model takes them for; none where the images are gone by now."""
        from pytorch_designer.api.notebook_page import example_rows, pictures_of
        from pytorch_designer.directories.image_directory import open_image_source
        from pytorch_designer.errors import DesignerError

        try:
            with open_image_source(self._images, takes_other_tasks=True, removed_by_signals=False) as images:
                rows = list(example_rows(images))
                predictions = self.model.predict([images.path(row) for row in rows])
                labels = {row: prediction.label for row, prediction in zip(rows, predictions, strict=True)}
                yield from pictures_of(images, labels)
        except DesignerError:
            return


def train(
    images: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] = "trained",
    validation: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | TrainedModel | None = None,
    model_name: str | None = None,
    pretrained: bool | None = None,
    epochs: int = 5,
    batch_size: int = 16,
    learning_rate: float = 0.001,
    random_seed: int = 1,
    patience: int = 3,
    fraction: float = 0.9,
    augment: bool = False,
    overwrite: bool = False,
    tracking: Literal["auto", "off"] = "off",
    device: str | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
    **options: Unpack[RuntimeOptions],
) -> TrainedRun:
    """Train a model on a folder with one folder of images per class, or on any other dataset that `open_images` opens.

        run = pytorch_designer.train("photos", model_name="resnet50", epochs=10, output="trained")
        run.metrics["accuracy"], run.best_epoch
        run.model.predict("cat.jpg")

    It is `pytorch-designer train`: the same arguments, weights, report and errors. A folder with train, valid and test
    in it is used as it is, and the test images are scored and evaluated at the end. A call that was interrupted, by
    Ctrl-C or a notebook's button, continues when it is made again with the same arguments; one that had ended returns
    its result. Python interrupts the main thread alone: a call in another thread goes on.

    Args:
        images: The images, as a folder or an archive.
        output: Where the trained model goes, with its report: new, empty, or that of the same run.
        validation: Images to validate with; None: those in `images`/valid, else a part of `images`.
        model: Model to train: a trained one, which is fine-tuned, or the output of ResNet, DenseNet or Image Model.
            None: the network of `model_name`.
        model_name: Any classifier of torchvision, or of timm as "timm/NAME"; None: resnet18.
        pretrained: Whether it starts from pretrained weights, which are downloaded once; None: it does.
        epochs: How many times to pass over the training images.
        batch_size: Images per step.
        learning_rate: Initial learning rate of stochastic gradient descent; it decays towards zero over the run.
        random_seed: The same seed, data and machine give the same model, bit for bit.
        patience: Stop after this many epochs in a row without a lower validation loss than the lowest so far.
        fraction: Share of the images to train on, where no validation images are given.
        augment: Whether to train with the transforms that Init Image Transformation lists by default.
        overwrite: Start over: replace an earlier result, or stopped run, in `output`.
        tracking: "auto" records the run in MLflow: in ./mlflow.db, or where MLFLOW_TRACKING_URI says.
        device: "cpu", "gpu", "cuda:1" and so on; None: what PYTORCH_DESIGNER_DEVICE says, or a GPU where there is one.
        precision: "fp32" or "bf16"; None: what PYTORCH_DESIGNER_PRECISION says, or what the hardware is fast at.
        options: See `RuntimeOptions`.

    Raises:
        InterruptedCallError: It was interrupted; its state is in a checkpoint. It is a KeyboardInterrupt, too.
        InvalidDatasetError: The images cannot be used, or training and validation images have different classes.
        NotLabeledDatasetError: There are images without labels.
        InvalidModelDirectoryError: `model` is not a model.
        FailedToWriteOutputsError: The output is occupied, inside an input, or cannot be written.
        FailedToDownloadFilesError: The pretrained weights cannot be had.
        NonFiniteLossError: Training diverged.
        ModuleOutOfMemoryError: The device has too little memory.
        UnsupportedEnvironmentError: This machine does not have the device.
        ParameterError: An argument has the wrong type or is out of range.
    """
    from pytorch_designer.api.folder_training import FolderRequest, FolderTrainingParameters, train_folder
    from pytorch_designer.api.loaded_model import TrainedModel
    from pytorch_designer.spec.parameters import parse_parameters

    all_options = {"device": device, "precision": precision, **options}
    with library_call("train", all_options, ports=_PORTS, tracking=tracking):
        network = {"model_name": model_name, "pretrained": pretrained}
        chosen = {name: value for name, value in network.items() if value is not None}
        if model is not None and chosen:
            raise ParameterParsingError(
                f"The argument model has a network and weights: {' and '.join(chosen)} cannot be given with it.",
                where=next(iter(chosen)),
                advice="Leave out one of the two.",
            )
        numbers = {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "random_seed": random_seed,
            "patience": patience,
            "fraction": fraction,
        }
        request = FolderRequest(
            images=path_argument(images, "images"),
            validation=None if validation is None else path_argument(validation, "validation"),
            model=model.path if isinstance(model, TrainedModel) else _optional_path(model, "model"),
            output=path_argument(output, "output"),
            is_augmented=bool(augment),
            is_overwriting=bool(overwrite),
            parameters=parse_parameters(
                FolderTrainingParameters, {name: str(value) for name, value in (numbers | chosen).items()}
            ),
        )
        scorable = train_folder(request, program=_PROGRAM)
    return TrainedRun(request.output, scorable, device=device, precision=precision)


def _optional_path(value: str | os.PathLike[str] | None, name: str) -> Path | None:
    return None if value is None else path_argument(value, name)
