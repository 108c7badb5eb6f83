"""Runtime settings: every `PYTORCH_DESIGNER_*` environment variable.

Settings control how a run executes, not what it learns. Each has an automatic choice for the machine at hand, so that
none has to be set. On Azure ML, users set them as environment variables of a pipeline node.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pytorch_designer.addresses import is_address
from pytorch_designer.errors import ParameterParsingError, UnsupportedEnvironmentError, shorten
from pytorch_designer.wording import nearest_name, within_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from pydantic.fields import FieldInfo

ENVIRONMENT_PREFIX = "PYTORCH_DESIGNER_"

_JOB_VARIABLE = "AZUREML_RUN_ID"
_DEVICE = re.compile(r"auto|cpu|gpu|cuda(:\d{1,3})?|mps")
_PROCESSES = re.compile(r"[1-9]\d{0,3}")
_OWN_TEXT = "values"  # key of a field's accepted values, where its type does not tell them
_SMALLEST_POSITIVE = 5e-324
_LIKENESS_UNDER_ANOTHER_PREFIX = 0.9
_log = logging.getLogger(__name__)

_given: dict[str, Any] = {}  # see `given_settings`


class Settings(BaseSettings):
    """All environment variables that this program reads under its own prefix."""

    # An empty variable is one that is not set: a pipeline's YAML file cannot leave one out of a node.
    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    device: str = Field(
        "auto",
        description="Device on which the network runs. `auto`: the first CUDA GPU, else the CPU. `gpu`: the first GPU, "
        "and an error where there is none. `cuda:1`: the second CUDA GPU, as `nvidia-smi` counts them.",
        json_schema_extra={_OWN_TEXT: "`auto`, `cpu`, `gpu`, `cuda`, `cuda:N`, `mps`"},
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
    processes: str = Field(
        "auto",
        description="Number of processes that train together on each machine; see docs/distributed.md. `auto`: one per "
        "GPU, and one on a machine without. It has no effect where the job was started as several processes per "
        "machine.",
        json_schema_extra={_OWN_TEXT: "a whole number of at least 1, or `auto`"},
    )
    join_seconds: float = Field(
        600,
        gt=0,
        allow_inf_nan=False,
        description="Time that the processes of a run wait for each other when they start. The run then ends with a "
        "named error that says which is missing.",
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
        300,
        gt=0,
        allow_inf_nan=False,
        description="If reading a single file takes longer than this, the run ends with a named error.",
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
        json_schema_extra={_OWN_TEXT: "a folder or an address"},
    )
    report_images: Literal["on", "off"] = Field(
        "on",
        description="`off` leaves pictures out of reports and scored datasets, for instance where images are "
        "confidential. `on`: the pages of Train PyTorch Model and Evaluate Model hold small copies of some images.",
    )
    progress: Literal["auto", "live", "plain", "off"] = Field(
        "auto",
        description="`live`: progress bar and table; `plain`: log lines; `off`: none. `auto`: live on a terminal, and "
        "in a notebook that uses the Python API.",
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

    @field_validator("*", mode="before")
    @classmethod
    def _as_word(cls, value: object, info: ValidationInfo) -> object:
        is_word = accepted_values(cls.model_fields[str(info.field_name)]).startswith("`")
        return value.strip().lower() if is_word and isinstance(value, str) else value

    @field_validator("cache_folder", "reuse_cache", "error_info", mode="before")
    @classmethod
    def _not_an_address(cls, value: object) -> object:
        if isinstance(value, str) and is_address(value) and not Path(value).exists():
            raise ValueError("an address")
        return value

    @field_validator("processes")
    @classmethod
    def _known_number(cls, value: str) -> str:
        word = value.strip().lower()
        if word != "auto" and not _PROCESSES.fullmatch(word):
            raise ValueError("no such number")
        return word

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not _DEVICE.fullmatch(value):
            raise ValueError("no such device")
        return value


def runs_as_job() -> bool:
    """True if Azure ML, or the harness in its place, runs this process as a job."""
    return _JOB_VARIABLE in os.environ


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read from the environment once. Misspelled variables are named in the log.

    Raises:
        ParameterParsingError: A variable's value has the wrong type or is out of range.
    """
    try:
        found = Settings(**_given)
    except ValidationError as error:
        raise _bad_values(error, _given) from error
    for sentence in misspelled(os.environ):
        _log.warning("%s", sentence)
    return found


def settings_with(**given: object) -> Settings:
    """The settings of this process, with those that are given in the place of the environment's; None: not given.

    Raises:
        ParameterParsingError: A value has the wrong type or is out of range.
    """
    present = {name: value for name, value in given.items() if value is not None}
    try:
        return settings() if not present else Settings(**(settings().model_dump() | present))
    except ValidationError as error:
        raise _bad_values(error, present) from error


@contextmanager
def given_settings(**given: object) -> Iterator[None]:
    """Let values take the place of the environment's, which is read anew, while the context lasts; None: not given.

    They count for all threads of the process, so that there may be one such context at a time.

    Raises:
        ParameterParsingError: A value has the wrong type or is out of range.
    """
    before = dict(_given)
    _given.update({name: value for name, value in given.items() if value is not None})
    settings.cache_clear()
    try:
        settings()
        yield
    finally:
        _given.clear()
        _given.update(before)
        settings.cache_clear()


def accepted_values(field: FieldInfo) -> str:
    """Accepted values of a setting, as Markdown, for instance `` `auto`, `off` `` or `a whole number of at least 1`."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and _OWN_TEXT in extra:
        return str(extra[_OWN_TEXT])
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(field.annotation))
    if kinds == [bool]:
        return "`True`, `False`"
    if kinds == [Path]:
        return "a path on this machine"
    limits = {name: getattr(limit, name) for limit in field.metadata for name in ("ge", "le") if hasattr(limit, name)}
    least = limits.get("ge", _SMALLEST_POSITIVE)  # the others are greater than zero
    return within_bounds("a whole number" if kinds == [int] else "a number", least, limits.get("le"))


def misspelled(names: Iterable[str]) -> list[str]:
    """A sentence for each environment variable that looks like one of this program's, and is none."""
    known = {ENVIRONMENT_PREFIX + name.upper(): name.upper() for name in Settings.model_fields}
    sentences = []
    for name in sorted(names):
        variable = name.upper()
        if variable in known:
            continue
        if variable.startswith(ENVIRONMENT_PREFIX):  # which is so long that it alone makes two names alike
            ending = variable.removeprefix(ENVIRONMENT_PREFIX)
            found = nearest_name(ending, known.values())
            near = [] if found is None else [ENVIRONMENT_PREFIX + found]
        else:
            near = difflib.get_close_matches(variable, known, n=1, cutoff=_LIKENESS_UNDER_ANOTHER_PREFIX)
            if not near:
                continue
        others = f"there are {ENVIRONMENT_PREFIX} with {', '.join(known.values())}."
        hint = f"did you mean {near[0]}?" if near else others
        sentences.append(f"The environment variable {shorten(name, 60)} is not a setting and has no effect; {hint}")
    return sentences


def user_cache_folder() -> Path:
    """The user's cache folder for this program. It may not exist yet.

    Raises:
        UnsupportedEnvironmentError: The user has no home folder.
    """
    from platformdirs import user_cache_path

    return _user_folder(user_cache_path, "caches", "XDG_CACHE_HOME")


def user_state_folder() -> Path:
    """The user's folder for what this program must not lose, such as drafts. It may not exist yet.

    Raises:
        UnsupportedEnvironmentError: The user has no home folder.
    """
    from platformdirs import user_state_path

    return _user_folder(user_state_path, "drafts", "XDG_STATE_HOME")


def _user_folder(find: Callable[..., Path], what: str, variable: str) -> Path:
    try:
        folder = find("pytorch-designer", appauthor=False)
    except RuntimeError:  # neither HOME nor an entry of the user
        folder = Path("~")
    if not folder.is_absolute():  # so some releases of platformdirs answer then
        raise UnsupportedEnvironmentError(
            f"There is no home folder, and so no folder for {what}.",
            where="HOME",
            advice=f"Set HOME or {variable} to a folder that can be written.",
        )
    return folder


def _bad_values(error: ValidationError, given: Container[str] = ()) -> ParameterParsingError:
    """The first bad value by name, with what the setting takes; `given`: names of arguments instead of variables."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    variable = ENVIRONMENT_PREFIX + name.upper()
    noun, where = ("argument", name) if name in given else ("environment variable", variable)
    values = accepted_values(Settings.model_fields[name])
    return ParameterParsingError(
        f"The {noun} {where} has the value {shorten(repr(first['input']), 60)}. "
        f"It takes {'one of ' if values.startswith('`') else ''}{values.replace('`', '')}.",
        where=where,
        advice=f"{_meant(first['input'], values)}Correct the {noun.split()[-1]} or leave it "
        f"{'out' if name in given else 'unset'} for the automatic choice.",
    )


def _meant(value: Any, values: str) -> str:
    near = nearest_name(str(value), re.findall("`(.+?)`", values))
    return f"Did you mean {near}? " if near else ""
