"""The pipeline of pipeline.yaml, built with Azure ML's Python SDK.

`python examples/pipeline.py` submits it to the workspace of the nearest config.json;
`python examples/pipeline.py --local` runs it on this machine.
"""

# No `from __future__ import annotations` here: the SDK needs the annotations of a pipeline function as objects.

import argparse
from pathlib import Path
from typing import Any

from azure.ai.ml import Input, MLClient, load_component
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import PipelineJob

EXAMPLES = Path(__file__).resolve().parent
REPOSITORY = EXAMPLES.parent
COMPONENTS = REPOSITORY / "components"


def build_pipeline() -> PipelineJob:
    """The pipeline with the example's images."""
    convert = load_component(COMPONENTS / "convert_to_image_directory.yaml")
    make_resnet = load_component(COMPONENTS / "resnet.yaml")
    train_model = load_component(REPOSITORY / "component.yaml")
    score_images = load_component(COMPONENTS / "score_image_model.yaml")
    evaluate_model = load_component(COMPONENTS / "evaluate_model.yaml")

    @pipeline(
        display_name="Train an image classifier",
        description="Trains a ResNet on one folder of images, then scores and evaluates it on another.",
        experiment_name="pytorch-designer-example",
        default_compute="serverless",
    )
    def train_classifier(
        training_images: Input, validation_images: Input, epochs: int, learning_rate: float
    ) -> dict[str, Any]:
        # The names of these variables become the names of the nodes.
        training_directory = convert(input_dataset=training_images)
        validation_directory = convert(input_dataset=validation_images)
        resnet = make_resnet(model_name="resnet18", pretrained=False)
        train = train_model(
            untrained_model=resnet.outputs.untrained_model,
            training_dataset=training_directory.outputs.output_image_directory,
            validation_dataset=validation_directory.outputs.output_image_directory,
            epochs=epochs,
            batch_size=4,
            learning_rate=learning_rate,
        )
        score = score_images(
            trained_model=train.outputs.trained_model,
            dataset=validation_directory.outputs.output_image_directory,
        )
        evaluate = evaluate_model(scored_dataset=score.outputs.scored_dataset)
        return {
            "trained_model": train.outputs.trained_model,
            "evaluation_results": evaluate.outputs.evaluation_results,
        }

    return train_classifier(
        training_images=Input(type="uri_folder", path=str(EXAMPLES / "images" / "training")),
        validation_images=Input(type="uri_folder", path=str(EXAMPLES / "images" / "validation")),
        epochs=3,
        learning_rate=0.001,
    )


def submit() -> None:
    """Submit the pipeline."""
    from azure.identity import DefaultAzureCredential

    client = MLClient.from_config(DefaultAzureCredential())
    job = client.jobs.create_or_update(build_pipeline())
    print(job.studio_url)


def run_here(run_folder: Path) -> int:
    """Run the pipeline on this machine; returns the exit code."""
    from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline

    result = run_pipeline(build_pipeline(), run_folder=run_folder)
    for name, node in result.nodes.items():
        print(f"{name}: {node.state.value}{'' if node.error is None else f', {node.error}'}")
    for name, folder in result.outputs.items():
        print(f"{name}: {folder}")
    return result.exit_code


def main() -> int:
    """Submit the pipeline, or run it here."""
    parser = argparse.ArgumentParser(description="Trains and evaluates an image classifier.")
    parser.add_argument("--local", action="store_true", help="run on this machine instead of submitting")
    parser.add_argument("--run-folder", type=Path, default=Path("runs/example"), help="default: %(default)s")
    options = parser.parse_args()
    if options.local:
        return run_here(options.run_folder)
    submit()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
