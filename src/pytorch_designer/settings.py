"""Runtime settings: every `PYTORCH_DESIGNER_*` environment variable.

Settings control how a run executes, not what it learns. Each has an automatic choice for the machine at hand, so that
none has to be set. On Azure ML, users set them as environment variables of a pipeline node.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pytorch_designer.errors import ParameterParsingError

ENVIRONMENT_PREFIX = "PYTORCH_DESIGNER_"


class Settings(BaseSettings):
    """All environment variables that this program reads under its own prefix."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore")

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Device on which the network runs. `auto`: the first CUDA GPU, else the CPU."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of the forward pass. `auto`: bf16 autocast where the hardware computes in it "
        "natively and the images are large enough to gain from it, else fp32.",
    )
    num_threads: int | None = Field(
        None,
        ge=1,
        description="Number of computing threads. Automatic: OMP_NUM_THREADS if set, else the physical cores available "
        "to this job.",
    )
    read_threads: int | None = Field(
        None,
        ge=1,
        description="Number of threads that read images; most of them wait for storage. At most one per core decodes. "
        "Automatic: 16 per core, within 32 to 64.",
    )
    cache_bytes: int | None = Field(
        None,
        ge=0,
        description="Memory budget for decoded images, in bytes; 0 turns the cache off. Automatic: a quarter of the "
        "free memory.",
    )
    disk_cache_bytes: int | None = Field(
        None,
        ge=0,
        description="Local disk budget, in bytes, for decoded images that exceed the memory budget; 0 turns the disk "
        "cache off. Automatic: half of the free space; 0 if the folder is kept in memory (tmpfs).",
    )
    cache_folder: Path | None = Field(
        None,
        description="Folder on a local disk for the disk cache. Nothing is left in it when the process ends, even if "
        "it is killed. Automatic: the system's folder for temporary files.",
    )
    max_image_pixels: int = Field(
        178_956_970, ge=1, description="Images with more pixels (width times height) than this count as bad files."
    )
    bad_image_tolerance: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of a dataset's images that may be unreadable before the run fails. Unreadable images within "
        "the tolerance are skipped and counted.",
    )
    read_timeout_seconds: float = Field(
        300, gt=0, description="If reading a single file takes longer than this, the run ends with a named error."
    )
    deterministic: bool = Field(
        True,
        description="Use deterministic algorithms on GPUs, so that runs are reproducible bit for bit. Turning this off "
        "can be faster.",
    )
    checkpoint_seconds: float = Field(
        120,
        ge=0,
        description="Time between checkpoints within an epoch. At the end of an epoch a tenth of it is enough. "
        "Checkpoints take at most 2 % of a run, so that they become less frequent on a slow disk. 0 writes one after "
        "every step.",
    )
    tracking: Literal["auto", "off"] = Field(
        "auto", description="`off` turns MLflow off. `auto`: the job's own run on Azure ML, ./mlflow.db elsewhere."
    )
    weights_mirror: str | None = Field(
        None,
        description="Base URL or folder with the pretrained weight files under their published file names, used "
        "instead of torchvision's URL.",
    )
    progress: Literal["auto", "live", "plain"] = Field(
        "auto", description="`live`: progress bar and table; `plain`: log lines. `auto`: live on a terminal."
    )
    layout: Literal["auto", "class-folders", "unlabeled"] = Field(
        "auto",
        description="What folders of images are taken for. `auto`: what their names and the files beside them say; "
        "`class-folders`: the top folders are the classes, also where they are named `train` or `images`; "
        "`unlabeled`: all images, without labels. Image directories are always read as such.",
    )
    reuse_cache: Path | None = Field(
        None,
        description="Folder in which `run` keeps the results of pipeline nodes for reuse. Automatic: the user's cache "
        "folder.",
    )
    reuse_cache_bytes: int = Field(
        20 * 2**30, ge=0, description="Maximum total size of the kept results, in bytes; 0 turns reuse off."
    )
    error_info: Path = Field(
        Path("outputs/error_info.json"), description="File to which a failed run writes its error as JSON."
    )
    traceback: bool = Field(False, description="Print a traceback for named errors too.")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read from the environment once.

    Raises:
        ParameterParsingError: A variable's value has the wrong type or is out of range.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = ENVIRONMENT_PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise ParameterParsingError(
            f"The environment variable {variable} has the value {first['input']!r}: {first['msg']}.",
            where=variable,
            advice="Correct the variable or leave it unset for the automatic choice.",
        ) from error


def user_cache_folder() -> Path:
    """The user's cache folder for this program. It may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("pytorch-designer", appauthor=False)
