"""Inputs and outputs of one job: checked paths, folders made before it, deliveries and checks after it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import FailedToWriteOutputsError, UnsupportedLocallyError
from pytorch_designer.harness.job.read_only import check_unchanged, input_holding, input_in, list_entries
from pytorch_designer.harness.job.run_folder import move_into
from pytorch_designer.harness.schema.bindings import bindings_in
from pytorch_designer.harness.schema.values import check_names, check_values, read_output_value
from pytorch_designer.harness.schema.vocabulary import COLLECTED_OUTPUTS
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.job.read_only import Listing
    from pytorch_designer.harness.job.run_folder import RunFolder
    from pytorch_designer.harness.schema.specification import CommandSpec

_OBEYED = re.compile(r"[\"$`\\\n]" if os.name == "posix" else r"[\"$`\n]")


class JobData:
    """Data of one job.

    Args:
        spec: The component.
        inputs: What was given; see `values.check_values`.
        outputs: Folder (or, for a `uri_file`, file) of each output; those left out get one in the run folder.
        folder: The run folder.

    Attributes:
        inputs: The checked value of each input.
        outputs: The path of each output, where it is delivered.
        written_outputs: The path of each output that the job is given: a staging folder if its mode is `upload`.

    Raises:
        ParameterError: An input is missing, unknown or unusable.
        FailedToWriteOutputsError: An output and an input share a folder.
        UnsupportedLocallyError: A path has a character that the shell would obey.
    """

    def __init__(
        self, spec: CommandSpec, inputs: Mapping[str, object], outputs: Mapping[str, Path], folder: RunFolder
    ) -> None:
        self._spec = spec
        self._before: dict[str, Listing] = {}
        self.inputs = check_values(spec, inputs)
        self.outputs = self._output_paths(outputs, folder)
        self.written_outputs = {
            name: folder.staged_output(name) if spec.outputs[name].mode == "upload" else path
            for name, path in self.outputs.items()
        }
        self._check_shell_paths()

    @property
    def input_paths(self) -> dict[str, Path]:
        """The path of each input that is a file or folder."""
        return {name: value for name, value in self.inputs.items() if isinstance(value, Path)}

    @property
    def collected_outputs(self) -> list[Path]:
        """The outputs that stand for ./outputs and ./logs, as Azure ML fills them where the command does not."""
        named = {binding.parts[1] for binding in bindings_in(self._spec.command) if binding.parts[:1] == ("outputs",)}
        names = self.outputs.keys() & COLLECTED_OUTPUTS - named
        return [self.written_outputs[name] for name in sorted(names) if not self._spec.outputs[name].is_file]

    def check_apart(self, what: str, path: Path) -> None:
        """Refuse a place below an input: what the harness writes there would look like the job's doing.

        Raises:
            FailedToWriteOutputsError: `path` is an input or below one.
        """
        touched = input_holding(self.input_paths, path)
        if touched is not None:
            raise _shared_folder(what, touched, path)

    def list_inputs(self) -> None:
        """Record sizes and times of the inputs before the job."""
        self._before = {name: list_entries(path) for name, path in self.input_paths.items()}

    def check_inputs(self) -> None:
        """Compare the inputs with what `list_inputs` saw.

        Raises:
            InputChangedError: The job has written into one.
        """
        for name, listing in self._before.items():
            check_unchanged(name, self.input_paths[name], listing)

    def prepare_outputs(self) -> None:
        """Make the folders of the outputs.

        Raises:
            FailedToWriteOutputsError: One cannot be made.
        """
        for name, path in (*self.outputs.items(), *self.written_outputs.items()):
            folder = path.parent if self._spec.outputs[name].is_file else path
            with writing_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)

    def deliver_outputs(self) -> None:
        """Move the staged outputs to where they belong, and check the values among the outputs.

        Raises:
            FailedToWriteOutputsError: One cannot be moved, or the job wrote no value of the output's type.
        """
        for name, path in self.outputs.items():
            written = self.written_outputs[name]
            if written != path:
                with writing_errors(path):
                    _deliver(written, path)
        for name, port in self._spec.outputs.items():
            if port.is_value:
                read_output_value(port, self.outputs[name])

    def _output_paths(self, given: Mapping[str, Path], folder: RunFolder) -> dict[str, Path]:
        check_names("output", given, self._spec.outputs, self._spec.name)
        paths = {}
        for name, port in self._spec.outputs.items():
            default = folder.default_output(name)
            own = default / name if port.is_file else default
            path = given[name].absolute() if name in given else own
            touched = input_holding(self.input_paths, path) or input_in(self.input_paths, path)
            if touched is not None:
                raise _shared_folder(f"Output {name}", touched, path)
            paths[name] = path
        return paths

    def _check_shell_paths(self) -> None:
        """Refuse paths that a command cannot hold between double quotes, where components put them."""
        for name, path in (*self.input_paths.items(), *self.outputs.items(), *self.written_outputs.items()):
            found = _OBEYED.search(str(path))
            if found is not None:
                raise UnsupportedLocallyError(
                    f"The path of {name} has the character {found[0]!r}, which the shell of the job would obey: {path}",
                    where=name,
                    advice="Rename the folder, or use a link to it. On Azure ML no path has such a character.",
                    reason="shell_character",
                )


def _shared_folder(what: str, input_name: str, path: Path) -> FailedToWriteOutputsError:
    return FailedToWriteOutputsError(
        f"{what} and input {input_name} share a folder; inputs are read-only.",
        where=path,
        advice="Name another folder, or start from another one.",
    )


def _deliver(written: Path, path: Path) -> None:
    if written.is_dir():
        move_into(written, path, replaces=True)
    elif written.exists():
        shutil.move(written, path)
