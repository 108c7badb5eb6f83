"""Texts of files without a mistake."""

COMPONENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: train
version: 1
display_name: Train
tags:
  port.images: ImageDirectory
  port.model: ModelDirectory
inputs:
  images:
    type: uri_folder
  epochs:
    type: integer
    default: 5
    min: 1
    max: 10
  rate:
    type: number
    default: 0.5
  optimizer:
    type: string
    default: sgd
    enum: [sgd, adam]
  shuffle:
    type: boolean
    default: true
  weights:
    type: uri_folder
    optional: true
outputs:
  model:
    type: uri_folder
    mode: rw_mount
code: src
environment:
  build:
    path: environment
command: >-
  train --images ${{inputs.images}} --epochs ${{ inputs.epochs }} --rate ${{inputs.rate}}
  --optimizer ${{inputs.optimizer}} --shuffle ${{inputs.shuffle}}
  $[[--weights ${{inputs.weights}}]] --model ${{outputs.model}}
distribution:
  type: PyTorch
  process_count_per_instance: 1
resources:
  instance_count: 1
  shm_size: 8g
"""

PREPARE = """\
type: command
name: prepare
version: 1
tags:
  port.images: ImageDirectory
inputs:
  raw:
    type: uri_folder
outputs:
  images:
    type: uri_folder
  listing:
    type: uri_file
environment: azureml:base@latest
command: prepare ${{inputs.raw}} ${{outputs.images}} ${{outputs.listing}}
"""

PIPELINE = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
display_name: Train a model
inputs:
  raw:
    type: uri_folder
    path: ./data
  epochs: 3
outputs:
  model:
    type: uri_folder
settings:
  default_compute: azureml:cluster
jobs:
  prepare:
    type: command
    component: prepare.yaml
    inputs:
      raw: ${{parent.inputs.raw}}
  train:
    type: command
    component: file:component.yaml
    inputs:
      images: ${{parent.jobs.prepare.outputs.images}}
      epochs: ${{parent.inputs.epochs}}
      optimizer: adam
    outputs:
      model: ${{parent.outputs.model}}
    environment_variables:
      SHOWN: ${{parent.inputs.epochs}}
  show:
    type: command
    command: ls ${{inputs.model}}
    environment: azureml:base:1
    inputs:
      model: ${{parent.jobs.train.outputs.model}}
"""

PIPELINE_COMPONENT = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json
type: pipeline
name: both
version: 1
inputs:
  raw:
    type: uri_folder
  weights:
    type: uri_folder
    optional: true
  epochs:
    type: integer
    default: 3
outputs:
  model:
    type: uri_folder
jobs:
  prepare:
    type: command
    component: prepare.yaml
    inputs:
      raw: ${{parent.inputs.raw}}
  train:
    type: command
    component: component.yaml
    inputs:
      images: ${{parent.jobs.prepare.outputs.images}}
      weights: ${{parent.inputs.weights}}
      epochs: ${{parent.inputs.epochs}}
    outputs:
      model: ${{parent.outputs.model}}
"""
