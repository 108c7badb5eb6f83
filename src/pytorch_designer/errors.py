"""Named errors for user mistakes, in one class hierarchy.

    DesignerError
    ├── ParameterError
    │   ├── ParameterParsingError          0002  a value is not of the parameter's type
    │   ├── NullOrEmptyError               0003  a required value or port is missing
    │   ├── GreaterThanOrEqualToError      0005  a value is below its lower bound
    │   ├── LessThanOrEqualToError         0007  a value is above its upper bound
    │   └── UnknownNameError               P007  a value was given for a name that does not exist
    ├── InvalidDatasetError                0018  a dataset is unusable, or does not fit the other one
    ├── NotLabeledDatasetError             0024  a dataset has no labels to learn from
    ├── NotScoredDatasetError              0025  a dataset has no scores to evaluate
    ├── ModuleOutOfMemoryError             0138  the machine or the GPU has too little memory
    ├── InvalidTransformationDirectoryError 0158 a transformation directory is unusable
    ├── InvalidModelDirectoryError         0159  a model directory is unusable
    ├── FailedToWriteOutputsError          0160  an output cannot be written
    ├── FailedToDownloadFilesError         0162  a download failed or did not verify
    ├── NonFiniteLossError                 P001  training diverged
    ├── UnsupportedEnvironmentError        P002  this machine or job setting cannot do what was asked
    ├── InterruptedRunError                P003  the run was stopped from outside and can be continued
    │   └── InterruptedCallError           P015  the same in Python: Ctrl-C is a KeyboardInterrupt, too
    ├── InvalidSpecError                   P004  an Azure ML YAML file is wrong
    ├── UnsupportedLocallyError            P005  a feature of Azure ML that has no local counterpart
    ├── InputChangedError                  P006  a job wrote into one of its inputs
    ├── TimeLimitError                     P016  a job ran longer than its limit
    ├── OtherProcessError                  P017  another process of the same run ended with an error
    ├── LostProcessError                   P018  a process of the run died, does not answer, or did not come
    ├── MissingExtraError                  P010  an optional part of this program is not installed
    └── CloudError                         P011  Azure refused a request, or could not be reached
        ├── CloudLoginError                P012  there is no login to Azure, or it is not accepted
        ├── CloudAccessError               P013  the login does not have permission for this
        └── CloudNotFoundError             P014  a workspace, registry or asset does not exist, or none was named

Four-digit codes are those that Azure ML designer documents; codes with a P are this project's.
Anything that is not a `DesignerError` is a bug and keeps its traceback. Only `pytorch_designer.cli.boundary` turns
these errors into an exit code, a message and `error_info.json`.
"""

from __future__ import annotations

import copyreg
import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pytorch_designer.shown_text import on_one_line, with_empty_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_EXAMPLES = 5
MAX_FAULTS = 50  # for a file written by hand, whose author corrects everything at once
_MAX_TEXT = 500
_MAX_LONG_TEXT = 2000


class DesignerError(Exception):
    """Base class of named errors: mistakes that the user can correct.

    Attributes:
        code: Stable code, shown next to the class name; see the tree above.
        what: One sentence that says what is wrong.
        where: The path, port or parameter at fault, or None.
        advice: What to do about it.
        examples: At most `max_examples` offending items.
        num_offending: How many offending items there are in all; at least `len(examples)`.
        reason: A stable word for programs that need to tell causes of one class apart, or None.
        faults: The faults of a specification that it reports (`harness.schema.spec_faults.SpecFault`); else empty.
        process: The process of a run with several that met it, and what this did: "rank 1 of 4 (node 0), training";
            None for a run of one process.
    """

    code: ClassVar[str] = "P000"
    default_advice: ClassVar[str] = ""
    max_examples: ClassVar[int] = MAX_EXAMPLES

    def __init__(
        self,
        what: str,
        *,
        where: Path | str | None = None,
        advice: str | None = None,
        examples: Iterable[object] = (),
        reason: str | None = None,
    ) -> None:
        offending = list(examples)
        self.what = _cut(what)
        self.where = None if where is None else _cut(str(where))
        self.advice = self.default_advice if advice is None else advice
        self.examples = tuple(with_empty_named(shorten(str(item))) for item in offending[: self.max_examples])
        self.num_offending = len(offending)
        self.reason = reason
        self.faults: tuple[Any, ...] = ()
        self.process: str | None = None
        super().__init__(self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, without another call of its constructor, so that one process can pass it to another."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]  # not in the stubs

    @property
    def name(self) -> str:
        """The class name, which is the error's public name."""
        return type(self).__name__

    def __str__(self) -> str:
        """The full message: name, code, what, where, examples and advice, each on its own line."""
        lines = [f"{self.name} ({self.code}): {self.what}"]
        if self.where is not None:
            lines.append(f"  Where: {self.where}")
        if self.process is not None:
            lines.append(f"  Process: {self.process}")
        lines.extend(f"  - {item}" for item in self.examples)
        if self.num_offending > len(self.examples):
            lines.append(f"  ... and {self.num_offending - len(self.examples)} more")
        if self.advice:
            lines.append(f"  What to do: {self.advice}")
        return "\n".join(lines)

    def rename_folder(self, folder: str, archive: str) -> None:
        """Name the archive and the member instead of the temporary folder that the archive was extracted into."""
        inside = f"{folder}{os.sep}"

        def renamed(text: str) -> str:
            return text.replace(inside, "").replace(folder, archive)

        self.what, self.advice = renamed(self.what), renamed(self.advice)
        self.examples = tuple(renamed(example) for example in self.examples)
        if self.where is not None and self.where.startswith(inside):
            self.where = f"{archive}, member {self.where.removeprefix(inside)}"
        elif self.where is not None:
            self.where = renamed(self.where)
        self.args = (self.what,)

    def to_dict(self) -> dict[str, Any]:
        """The error as plain data, the content of `error_info.json`."""
        faults = {"faults": [fault.to_dict() for fault in self.faults]} if self.faults else {}
        process = {} if self.process is None else {"process": self.process}
        return {
            "name": self.name,
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "examples": list(self.examples),
            "num_offending": self.num_offending,
            "advice": self.advice,
            "reason": self.reason,
            "message": str(self),
            **process,
            **faults,
        }


class ParameterError(DesignerError):
    """A parameter's value is unusable. `where` is the parameter's name."""


class ParameterParsingError(ParameterError):
    """The text given for a parameter is not a value of its type."""

    code = "0002"
    default_advice = "Give a value of the documented type."


class NullOrEmptyError(ParameterError):
    """A required parameter or port has no value."""

    code = "0003"
    default_advice = "Give it a value."


class GreaterThanOrEqualToError(ParameterError):
    """A value is below its inclusive lower bound."""

    code = "0005"
    default_advice = "Give a value within the documented range."


class LessThanOrEqualToError(ParameterError):
    """A value is above its inclusive upper bound."""

    code = "0007"
    default_advice = "Give a value within the documented range."


class UnknownNameError(ParameterError):
    """A value was given for a port or parameter that does not exist."""

    code = "P007"
    default_advice = "Use one of the documented names."


class InvalidDatasetError(DesignerError):
    """A dataset is unusable, or does not fit the other dataset."""

    code = "0018"
    default_advice = "Correct what is named, or create the dataset again with the component that wrote it."


class NotLabeledDatasetError(DesignerError):
    """A dataset has no labels where labels are needed."""

    code = "0024"
    default_advice = (
        "Connect a labeled image directory, for instance one folder per class, converted with Convert to Image "
        "Directory."
    )


class NotScoredDatasetError(DesignerError):
    """A dataset has no scores where scores are needed."""

    code = "0025"
    default_advice = "Connect the output of Score Image Model."


class ModuleOutOfMemoryError(DesignerError):
    """The machine, or its GPU, has too little memory."""

    code = "0138"
    default_advice = "Use a smaller `batch_size`, smaller images, a smaller model, or a machine with more memory."


class InvalidTransformationDirectoryError(DesignerError):
    """A transformation directory is unusable."""

    code = "0158"
    default_advice = "Connect the output of Init Image Transformation."


class InvalidModelDirectoryError(DesignerError):
    """A model directory is unusable, or not one that this port accepts."""

    code = "0159"
    default_advice = "Connect the output of DenseNet, ResNet, Image Model or Train PyTorch Model."


class FailedToWriteOutputsError(DesignerError):
    """An output cannot be written. No partial output is left behind that could be taken for a finished one."""

    code = "0160"
    default_advice = "Check that the disk has free space and that the path is writable, then run again."


class FailedToDownloadFilesError(DesignerError):
    """A download failed, or the downloaded file is not the expected one."""

    code = "0162"
    default_advice = "Check the network and the address, then run again."


class NonFiniteLossError(DesignerError):
    """The training loss became NaN or infinite. The optimizer step was skipped."""

    code = "P001"
    default_advice = "Use a lower `learning_rate`."


class UnsupportedEnvironmentError(DesignerError):
    """This machine, or the way the job was started, cannot do what was asked."""

    code = "P002"
    default_advice = "Change the setting that is named, or run on another machine."


class InterruptedRunError(DesignerError):
    """The run was told to stop (SIGTERM or SIGINT). Its progress is in the checkpoint.

    Attributes:
        signal_number: The signal that ended the run; the process exits with 128 + signal_number.
    """

    code = "P003"
    default_advice = "Run the same command again: it continues where it stopped."

    def __init__(
        self, what: str, *, signal_number: int, where: Path | str | None = None, advice: str | None = None
    ) -> None:
        super().__init__(what, where=where, advice=advice)
        self.signal_number = signal_number


class InterruptedCallError(InterruptedRunError, KeyboardInterrupt):
    """A call of the Python API was told to stop (Ctrl-C, or a notebook's button). Its progress is in the checkpoint."""

    code = "P015"
    default_advice = "Call the function again with the same arguments: it continues where it stopped."


class InvalidSpecError(DesignerError):
    """An Azure ML YAML file cannot be used. `where` is `file:line` if a line is at fault."""

    code = "P004"
    default_advice = "Correct the file, then run again."
    max_examples = MAX_FAULTS


class UnsupportedLocallyError(DesignerError):
    """A feature of Azure ML that cannot run on this machine. Nothing was started."""

    code = "P005"
    default_advice = "Run this part on Azure ML, or leave it out here."
    max_examples = MAX_FAULTS


class InputChangedError(DesignerError):
    """A job wrote into one of its inputs, which are read-only on Azure ML. The change was not undone."""

    code = "P006"
    default_advice = "Make the component write only to its outputs, ./outputs or a temporary folder."


class TimeLimitError(DesignerError):
    """A job ran longer than its limit, and was ended with all its processes."""

    code = "P016"
    default_advice = "Raise `limits.timeout` of the node or job, or give it less to do."


class OtherProcessError(DesignerError):
    """Another process of the same run ended with an error, `cause`, which is the content of `error_info.json`."""

    code = "P017"
    default_advice = "Look at the error of that process."
    cause: Mapping[str, Any] = MappingProxyType({})

    def to_dict(self) -> dict[str, Any]:
        """The error of the other process."""
        return dict(self.cause)


class LostProcessError(DesignerError):
    """A process of a run with several died without a message, no longer answers, or did not come."""

    code = "P018"
    default_advice = "Look at its log, and at the memory of its machine. Run the same command again: it continues."


class MissingExtraError(DesignerError):
    """An optional part of this program is needed and not installed."""

    code = "P010"
    default_advice = "Install the packages that the message names with pip."


class CloudError(DesignerError):
    """Azure refused a request, or could not be reached."""

    code = "P011"
    default_advice = "Correct what Azure names, then try again."


class CloudLoginError(CloudError):
    """There is no login to Azure, or Azure does not accept it."""

    code = "P012"
    default_advice = "Log in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET."


class CloudAccessError(CloudError):
    """The login is valid but does not have permission for this."""

    code = "P013"
    default_advice = (
        "Ask for the role AzureML Data Scientist on the workspace, or AzureML Registry User on the registry."
    )


class CloudNotFoundError(CloudError):
    """A workspace, registry or asset does not exist, or none was named."""

    code = "P014"
    default_advice = "Check the names of the subscription, the resource group and the workspace or registry."


def shorten(text: str, limit: int = _MAX_TEXT) -> str:
    """`text` on one line, with at most `limit` characters, so that text from a file cannot flood a log."""
    line = on_one_line(text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_LONG_TEXT else text[: _MAX_LONG_TEXT - 3] + "..."


def describe_value(value: object, limit: int = 60) -> str:
    """A value from a file for a message: short text and numbers as they are written, of the rest what it is."""
    if isinstance(value, str):
        return repr(shorten(value, limit))
    if value is None or isinstance(value, (bool, float)):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= 64 else "a number of more than 64 bits"
    if isinstance(value, dict):
        return "a mapping"
    return f"a {type(value).__name__}"
