"""Next steps after training: commands that score, evaluate, serve, register and fine-tune the model."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.storage.output import write_atomically, writing_errors
from pytorch_designer.training.report.earlier_result import NEXT_STEPS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def write_next_steps(trained_model: Path, *, scorable: Path, trainable: Path, program: str) -> str:
    """Write `NEXT_STEPS.md` into the folder of the model.

    Args:
        trained_model: The complete output, as the user has named it.
        scorable: Images that can be scored; they stand for the user's next ones.
        trainable: Images that can be trained on; likewise.
        program: Name of the program.

    Returns:
        The same steps as lines for the log.

    Raises:
        FailedToWriteOutputsError: The file cannot be written.
    """
    steps = list(_steps(trained_model, scorable, trainable, program))
    path = trained_model / NEXT_STEPS_FILE
    page = [
        "# Next steps",
        f"Paths are relative to `{Path.cwd()}`. Put your own images in place of `{scorable}`.",
        *(f"{title}:\n\n```console\n{command}\n```" for title, command in steps),
    ]
    with writing_errors(trained_model):
        write_atomically(path, ("\n\n".join(page) + "\n").encode("utf-8", "surrogateescape"))
    return "\n".join([f"Next steps (also in {path}):", *(f"  {title}:\n    {command}" for title, command in steps)])


def _steps(trained_model: Path, scorable: Path, trainable: Path, program: str) -> Iterator[tuple[str, str]]:
    """Titles and commands."""
    model, images, more_images = (shlex.quote(str(path)) for path in (trained_model, scorable, trainable))
    scores, evaluation, further = (_new_folder(trained_model, end) for end in ("scores", "evaluation", "further"))
    name = _NOT_IN_A_NAME.sub("-", trained_model.absolute().name).strip("-") or "model"
    yield (
        "Score images",
        f"{program} score-image-model --trained-model {model} --dataset {images} --scored-dataset {scores}",
    )
    yield (
        "Compare the scores with the labels",
        f"{program} evaluate-model --scored-dataset {scores} --evaluation-results {evaluation}",
    )
    yield (
        "Train further, on more images for instance",
        f"{program} train {more_images} --model {model} --output {further}",
    )
    yield "Serve the model on this machine", f"mlflow models serve --model-uri {model} --env-manager local"
    yield (
        "Register the model in Azure ML, for deployment",
        f"az ml model create --name {name} --type mlflow_model --path {model}",
    )


def _new_folder(trained_model: Path, end: str) -> str:
    """A folder beside the model that is not there yet, quoted."""
    absolute = trained_model.absolute()
    names = [f"{absolute.name}_{end}", *(f"{absolute.name}_{end}_{number}" for number in range(2, 100))]
    name = next((name for name in names if not (absolute.parent / name).exists()), names[0])
    return shlex.quote(str(trained_model.parent / name if trained_model.name else absolute.parent / name))
