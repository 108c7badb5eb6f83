"""Components and pipelines of the designer's tests, plain ones and awkwardly written ones."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from pytorch_designer.designer.editing.draft import AddedComponent
from pytorch_designer.designer.editing.edits import apply_edits
from pytorch_designer.harness.lint.documents import Library

COMPONENTS = {
    "prepare": """
        $schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
        type: command
        name: prepare
        display_name: Prepare Images
        version: 1.2.0
        description: Makes a folder of images.
        tags: {category: Data, port.raw: AnyDirectory, port.images: ImageDirectory}
        inputs:
          raw: {type: uri_folder, description: What is there.}
          rows: {type: integer, default: 3, min: 1, max: 10, description: How many.}
          kind: {type: string, default: plain, enum: [plain, striped]}
        outputs:
          images: {type: uri_folder}
          listing: {type: uri_file}
        environment: azureml:env:1
        command: >-
          cp -r ${{inputs.raw}} ${{outputs.images}}; echo ${{inputs.rows}} ${{inputs.kind}} > ${{outputs.listing}}
    """,
    "train": """
        $schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
        type: command
        name: train
        tags:
          category: Learning
          port.images: ImageDirectory
          port.start: UntrainedModelDirectory
          port.model: ModelDirectory
        inputs:
          images: {type: uri_folder}
          start: {type: uri_folder, optional: true}
          rate: {type: number, default: 0.1, min: 0}
          fast: {type: boolean, default: false}
        outputs:
          model: {type: uri_folder}
        environment: azureml:env:1
        distribution: {type: mpi, process_count_per_instance: 1}
        command: >-
          echo ${{inputs.images}} ${{inputs.rate}} ${{inputs.fast}} $[[--start ${{inputs.start}}]]
          > ${{outputs.model}}/model
    """,
}  # fmt: skip

PIPELINE = """\
# Two steps.
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
display_name: Two steps

inputs:
  raw:
    type: uri_folder
    path: data  # what is there
  rows: 5

outputs:
  model:
    type: uri_folder

jobs:
  # The first step.
  first:
    type: command
    component: prepare.yaml
    inputs:
      raw: ${{parent.inputs.raw}}  # the folder
      rows: ${{parent.inputs.rows}}

  second:
    type: command
    component: train.yaml
    comment: Uses ${{parent.jobs.first.outputs.images}}.
    inputs:
      images: ${{parent.jobs.first.outputs.images}}
      rate: 0.5  # fast
    outputs:
      model: ${{parent.outputs.model}}
"""

_TWO = """\
jobs:
  first:
    type: command
    component: prepare.yaml
    inputs:
      raw: {type: uri_folder, path: data}
      rows: 5
  second:
    type: command
    component: train.yaml
    inputs:
      images: ${{parent.jobs.first.outputs.images}}
      rate: 0.5
"""

AWKWARD = {
    "plain": PIPELINE,
    "windows": PIPELINE.replace("\n", "\r\n"),
    "no line end": PIPELINE.rstrip("\n"),
    "no line end, windows": PIPELINE.rstrip("\n").replace("\n", "\r\n"),
    "four blanks": "\n".join(
        " " * (len(line) - len(line.lstrip())) + line for line in f"type: pipeline\n{_TWO}".splitlines()
    ),
    "quotes": 'type: "pipeline"\n'
    + _TWO.replace("rows: 5\n", 'rows: "5"\n').replace("first:", "'first':")
    .replace("${{parent.jobs.first.outputs.images}}", '"${{parent.jobs.first.outputs.images}}"'),
    "braces": """\
type: pipeline
jobs: {first: {type: command, component: prepare.yaml, inputs: {raw: {type: uri_folder, path: data}, rows: 5}},
  second: {type: command, component: train.yaml,   # a step
    inputs: {images: '${{parent.jobs.first.outputs.images}}', rate: 0.5}}}
""",
    "braces inside": """\
type: pipeline
jobs:
  first: {type: command, component: prepare.yaml, inputs: {raw: {type: uri_folder, path: data}, rows: 5}} # short
  second: {type: command, component: train.yaml, inputs: {images: '${{parent.jobs.first.outputs.images}}', rate: 0.5}}
""",
    "anchors": """\
type: pipeline
jobs:
  first:
    type: &kind command
    component: prepare.yaml
    inputs: &given   # shared
      raw: &data {type: uri_folder, path: data}
      rows: &five 5
  other:
    type: *kind
    component: prepare.yaml
    inputs: *given
  third:
    type: *kind
    component: prepare.yaml
    inputs:
      <<: *given
      kind: striped
  second:
    type: *kind
    component: train.yaml
    inputs: {images: "${{parent.jobs.first.outputs.images}}", rate: 0.5}
""",
    "comments between keys": _TWO.replace("    type", "    # a kind\n\n    # of node\n    type").replace(
        "    inputs", "\n\n    # what it gets\t(tab)\n    inputs"
    ) + "\n# the end\n\n",
    "block texts": "type: pipeline\ndescription: |\n  Two steps:\n\n    first, second\n" + _TWO.replace(
        "    inputs:\n      images", "    comment: >-\n      A step\n      that trains.\n    inputs:\n      images"
    ),
    "unicode": "type: pipeline\ndisplay_name: Zwölf Bilder 🖼 画像\n" + _TWO.replace("rows: 5", "rows: 5 # fünf ✓"),
    "sections in another order": "jobs:\n" + _TWO.removeprefix("jobs:\n")
    + "type: pipeline\ninputs:\n  raw: {type: uri_folder, path: data}\n",
    "lists": "type: pipeline\ntags:\n  a: b\n" + _TWO.replace(
        "  second:\n", "  second:\n    services:\n      one:\n        type: ssh\n        nodes: all\n"
    ),
    "document marks": "%YAML 1.1\n---\ntype: pipeline\n" + _TWO + "...\n",
    "nulls": "type: pipeline\ninputs:\noutputs: ~\n" + _TWO.replace(
        "rate: 0.5\n", "rate: 0.5\n    outputs:\n    environment_variables: {}\n"
    ),
}  # fmt: skip


def write_components(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    for name, text in COMPONENTS.items():
        (folder / f"{name}.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def edited(text: str, *edits: dict[str, Any], folder: Path) -> str:
    def find(reference: str) -> AddedComponent:
        return AddedComponent(f"{reference}.yaml", "command", reference)

    return apply_edits(text, edits, path=folder / "pipeline.yaml", library=Library(), find_component=find)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that are only in one of two texts, by the longest common subsequence."""
    import difflib

    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    gone: list[str] = []
    come: list[str] = []
    for tag, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += old[start:end]
            come += new[first:last]
    return gone, come
