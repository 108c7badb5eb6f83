"""Pipelines to begin with on the designer page, made of this project's components."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from pytorch_designer.designer.built_in_components import PipelineTemplate
from pytorch_designer.system.python_process import python_command

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json\ntype: pipeline\n"
_DIGITS_FOLDER = "digits"
_SETTINGS = """
settings:
  default_compute: azureml:serverless
"""
_DATA = """
inputs:
  images:
    type: uri_folder
    path: {folder}
"""
_PREPARATION = """
jobs:
  convert:
    type: command
    component: builtin:convert_to_image_directory
    inputs:
      input_dataset: ${{parent.inputs.images}}

  hold_out:
    type: command
    component: builtin:split_image_directory
    inputs:
      input_image_directory: ${{parent.jobs.convert.outputs.output_image_directory}}
      fraction: 0.8

  split:
    type: command
    component: builtin:split_image_directory
    inputs:
      input_image_directory: ${{parent.jobs.hold_out.outputs.output_image_directory1}}
      fraction: 0.75
"""
_NETWORK = """
  {suffix}network:
    type: command
    component: builtin:{component}
    inputs:
      model_name: {model}
      pretrained: {pretrained}
"""
_TRAINING = """
  {suffix}train:
    type: command
    component: builtin:train_pytorch_model
    inputs:
      untrained_model: ${{{{parent.jobs.{suffix}network.outputs.untrained_model}}}}
      training_dataset: ${{{{parent.jobs.split.outputs.output_image_directory1}}}}
      validation_dataset: ${{{{parent.jobs.split.outputs.output_image_directory2}}}}
      epochs: {epochs}

  {suffix}score:
    type: command
    component: builtin:score_image_model
    inputs:
      trained_model: ${{{{parent.jobs.{suffix}train.outputs.trained_model}}}}
      dataset: ${{{{parent.jobs.hold_out.outputs.output_image_directory2}}}}
"""
_EVALUATION = """
  evaluate:
    type: command
    component: builtin:evaluate_model
    inputs:
"""


def templates() -> tuple[PipelineTemplate, ...]:
    """The templates, the empty one first."""
    return (
        PipelineTemplate("empty", "Empty pipeline", "Nothing yet.", f"{_SCHEMA}\njobs: {{}}\n"),
        PipelineTemplate(
            "train-and-evaluate",
            "Train and evaluate",
            "Trains a small network on handwritten digits, which it brings, and evaluates it on images held out.",
            _one_network(
                "Train and evaluate", _DIGITS_FOLDER, component="resnet", model="resnet18", pretrained="false"
            ),
            _write_digits,
        ),
        PipelineTemplate(
            "compare-networks",
            "Compare two networks",
            "Trains two networks on the same handwritten digits, which it brings, and compares them in one report.",
            _two_networks(),
            _write_digits,
        ),
        PipelineTemplate(
            "fine-tune",
            "Fine-tune a pretrained network",
            "Fine-tunes a network with ImageNet weights on your images: one folder per class, in the folder images.",
            _one_network(
                "Fine-tune a pretrained network",
                "images",
                component="image_model",
                model="efficientnet_b0",
                pretrained="true",
            ),
        ),
    )


def _head(name: str, folder: str) -> str:
    return f"{_SCHEMA}display_name: {name}\n{_DATA.format(folder=folder)}{_SETTINGS}{_PREPARATION}"


def _one_network(name: str, folder: str, *, component: str, model: str, pretrained: str) -> str:
    return (
        _head(name, folder)
        + _NETWORK.format(suffix="", component=component, model=model, pretrained=pretrained)
        + _TRAINING.format(suffix="", epochs=5)
        + _EVALUATION
        + "      scored_dataset: ${{parent.jobs.score.outputs.scored_dataset}}\n"
    )


def _two_networks() -> str:
    parts = [_head("Compare two networks", _DIGITS_FOLDER)]
    for suffix, component, model in (("small_", "resnet", "resnet18"), ("large_", "resnet", "resnet34")):
        parts.append(_NETWORK.format(suffix=suffix, component=component, model=model, pretrained="false"))
        parts.append(_TRAINING.format(suffix=suffix, epochs=5))
    parts.append(_EVALUATION)
    parts.append("      scored_dataset: ${{parent.jobs.small_score.outputs.scored_dataset}}\n")
    parts.append("      scored_dataset_to_compare: ${{parent.jobs.large_score.outputs.scored_dataset}}\n")
    return "".join(parts)


def _write_digits(folder: Path) -> None:
    """Write the digits beside the new document, in a process of its own: scikit-learn is large."""
    target = folder / _DIGITS_FOLDER
    if target.exists():  # the user's, or of an earlier document
        return
    command = python_command("pytorch_designer.cli.demo_digits", str(target))
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise OSError(f"The images could not be written: {done.stderr.decode('utf-8', 'replace').strip()[-400:]}")
