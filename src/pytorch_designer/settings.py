"""How a run is carried out, as opposed to what it learns: every `PYTORCH_DESIGNER_*` environment variable.

Each setting has an automatic choice that is good on the machine at hand, so that none has to be set. Azure ML
lets a user set environment variables on a pipeline node, which is how these reach a component there.
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
        "auto", description="Where the network runs. `auto`: the first CUDA GPU, else the CPU."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of the forward pass. `auto`: bf16 autocast where the hardware computes in it "
        "natively and the images are large enough to gain from it, else fp32.",
    )
    num_threads: int | None = Field(
        None,
        ge=1,
        description="Threads that compute. Automatic: the physical cores of this job, or OMP_NUM_THREADS if set.",
    )
    read_threads: int | None = Field(
        None,
        ge=1,
        description="Threads that read images, nearly all of which wait for the storage; no more decode than there are "
        "cores. Automatic: sixteen a core, but 32 to 64.",
    )
    cache_bytes: int | None = Field(
        None,
        ge=0,
        description="Memory budget for decoded images, in bytes; 0 switches the cache off. Automatic: a quarter of the "
        "memory that is free.",
    )
    disk_cache_bytes: int | None = Field(
        None,
        ge=0,
        description="Budget on a local disk, in bytes, for decoded images that the memory budget has no room for; 0 "
        "switches it off. Automatic: half of what is free there; nothing where the folder is kept in memory (tmpfs).",
    )
    cache_folder: Path | None = Field(
        None,
        description="Folder on a local disk for these images; nothing is left in it when the process ends, even if it "
        "is killed. Automatic: the system's folder for temporary files.",
    )
    max_image_pixels: int = Field(
        178_956_970, ge=1, description="Images with more pixels than this (width times height) are bad files."
    )
    bad_image_tolerance: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the images of a dataset that may be unreadable before the run fails; those within the "
        "tolerance are left out and counted.",
    )
    read_timeout_seconds: float = Field(
        300, gt=0, description="A single file that takes longer than this to read ends the run with a named error."
    )
    deterministic: bool = Field(
        True, description="Use deterministic algorithms on GPUs, so that runs repeat bit for bit; off is faster there."
    )
    checkpoint_seconds: float = Field(
        120,
        ge=0,
        description="Time between two checkpoints within an epoch. The end of an epoch has one after a tenth of it. "
        "They take at most 2 % of a run: on a slow disk they become rarer. 0 writes one after every step.",
    )
    tracking: Literal["auto", "off"] = Field(
        "auto", description="`off` switches MLflow off. `auto`: the job's own run on Azure ML, ./mlflow.db elsewhere."
    )
    weights_mirror: str | None = Field(
        None,
        description="Base address or folder that holds the pretrained weight files by their published file names, "
        "used in place of the address that torchvision names.",
    )
    progress: Literal["auto", "live", "plain"] = Field(
        "auto", description="`live`: progress line and table; `plain`: log lines. `auto`: live on a terminal."
    )
    reuse_cache: Path | None = Field(
        None,
        description="Folder in which `run` keeps the results of pipeline nodes to reuse them. Automatic: the user's "
        "cache folder.",
    )
    reuse_cache_bytes: int = Field(
        20 * 2**30, ge=0, description="Size that the kept results may have together; 0 switches reuse off."
    )
    error_info: Path = Field(
        Path("outputs/error_info.json"), description="Where a failed run writes its error as JSON."
    )
    traceback: bool = Field(False, description="Print the traceback of named errors too.")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read from the environment once.

    Raises:
        ParameterParsingError: A variable's value is not of its type or out of its range.
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
    """The folder for what this program keeps for the user beyond a run. It need not be there yet."""
    from platformdirs import user_cache_path

    return user_cache_path("pytorch-designer", appauthor=False)
