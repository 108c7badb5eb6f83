"""Train PyTorch Model from its ports to its output: what is opened, checked, built, trained and written, in order."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import InterruptedRunError, UnsupportedEnvironmentError
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.resources import default_cache_budget, default_read_threads
from pytorch_designer.inference.compute import ComputePlan, choose_compute
from pytorch_designer.inference.environment import environment_facts
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.models.loading import check_forward, network_for_classes
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.progress import log_header
from pytorch_designer.seeds import derive_seed
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import (
    META_FILE,
    check_apart,
    locked_output,
    prepare_output,
    remove_leftovers,
    staged_output,
)
from pytorch_designer.system.stop_requests import StopRequest, stop_on_signals
from pytorch_designer.training.checkpoint import CheckpointStore
from pytorch_designer.training.display import RunDisplay, open_display
from pytorch_designer.training.facts import data_facts, fingerprint_facts, model_facts
from pytorch_designer.training.fingerprint import run_fingerprint
from pytorch_designer.training.history import BadFile, EpochRecord, RunSummary
from pytorch_designer.training.inputs import TRAINING_PORT, VALIDATION_PORT, TrainingInputs, check_inputs
from pytorch_designer.training.loop import TrainingRun, train
from pytorch_designer.training.optimizer import build_optimizer
from pytorch_designer.training.repeatability import settle_repeatability
from pytorch_designer.training.report import write_report
from pytorch_designer.training.state import BestEpoch, TrainingState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.tracking.tracker import OpenTracker, Tracker
    from pytorch_designer.training.hyperparameters import Hyperparameters

_log = logging.getLogger(__name__)

REPORT_FOLDER = "report"


@dataclass(frozen=True)
class _Job:
    """What is known when everything that can fail cheaply has been checked."""

    inputs: TrainingInputs
    hyperparameters: Hyperparameters
    plan: ComputePlan
    network: nn.Module
    normalizes_lone_image: bool
    batch_augmentation: Augmentation | None
    fingerprint: str
    output: Path


def train_model(
    *,
    untrained_model: Path,
    training_dataset: ImageDirectory,
    validation_dataset: ImageDirectory,
    trained_model: Path,
    hyperparameters: Hyperparameters,
    open_tracker: OpenTracker,
) -> None:
    """Train a model and write it to `trained_model`; see docs/reference/train_pytorch_model.md.

    A run that was stopped continues from its checkpoint below `trained_model`; one that had already ended there
    with the same inputs is left as it is.

    Args:
        untrained_model: ModelDirectory, trained or not, of the old or the new layout.
        training_dataset: Labelled images, opened.
        validation_dataset: Labelled images with the same classes.
        trained_model: Output folder: new, empty, or that of the same run.
        hyperparameters: What to learn with.
        open_tracker: Opens the tracker once training begins, by the name of the run.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    _refuse_several_processes()
    check_apart(trained_model, untrained_model, "the untrained model")
    check_apart(trained_model, training_dataset.root, "the training dataset")
    check_apart(trained_model, validation_dataset.root, "the validation dataset")
    with ExitStack() as stack:
        stop_request = stack.enter_context(stop_on_signals(interrupts_when_urgent=True))
        inputs = check_inputs(
            untrained_model=untrained_model,
            training=training_dataset,
            validation=validation_dataset,
            random_seed=hyperparameters.random_seed,
        )
        job = _prepare(inputs, hyperparameters, trained_model)
        stack.enter_context(locked_output(trained_model))
        if _is_finished(job):
            remove_leftovers(trained_model)
            _log.info("%s already holds the result of this very run: nothing is left to do.", trained_model)
            return
        prepare_output(trained_model)
        training, validation = _open_loaders(stack, job)
        summary, best = _train(job, training, validation, stop_request, open_tracker)
        _write(job, summary, best)


def _refuse_several_processes() -> None:
    world_size = os.environ.get("WORLD_SIZE", "").strip() or "1"
    if world_size != "1":
        raise UnsupportedEnvironmentError(
            f"The job was started as {world_size} processes, but this release trains in one process on one device.",
            where="WORLD_SIZE",
            advice="Set process_count_per_instance and instance_count to 1.",
        )


def _prepare(inputs: TrainingInputs, hyperparameters: Hyperparameters, output: Path) -> _Job:
    height, width = inputs.preprocessing.crop_height, inputs.preprocessing.crop_width
    plan = choose_compute(settings(), height=height, width=width)
    plan.activate()
    torch.manual_seed(derive_seed(hyperparameters.random_seed, "initial_weights"))
    network = network_for_classes(inputs.model, inputs.training.classes)
    with ThreadPoolExecutor(1) as thread:
        fingerprint = thread.submit(
            run_fingerprint,
            facts=fingerprint_facts(inputs, hyperparameters, plan),
            weights=network.state_dict(),  # taken before the check, which puts others in their place for a moment
            training=inputs.training,
            validation=inputs.validation,
        )
        normalizes_lone_image = check_forward(network, height, width, inputs.model.architecture)
    return _Job(
        inputs=inputs,
        hyperparameters=hyperparameters,
        plan=plan,
        network=network,
        normalizes_lone_image=normalizes_lone_image,
        batch_augmentation=_batch_augmentation(inputs, plan),
        fingerprint=fingerprint.result(),
        output=output,
    )


def _is_finished(job: _Job) -> bool:
    if not (job.output / META_FILE).is_file():
        return False
    try:
        run = json.loads((job.output / REPORT_FOLDER / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(run, dict) and run.get("fingerprint") == job.fingerprint


def _open_loaders(stack: ExitStack, job: _Job) -> tuple[ImageLoader, ImageLoader]:
    """Loaders of the training and the validation images, which share budgets of memory and disk, training first."""
    inputs, plan = job.inputs, job.plan
    num_threads, tolerance = default_read_threads(), settings().bad_image_tolerance
    training = ImageLoader(
        inputs.training,
        inputs.preprocessing,
        augmentation=inputs.augmentation,
        draws_later=job.batch_augmentation is not None,
        num_threads=num_threads,
        cache=default_cache_budget(),
        decodes_ahead=not plan.takes_all_cores,
        pins_memory=plan.device.type == "cuda",
        tolerance=tolerance,
        port=TRAINING_PORT,
    )
    stack.enter_context(training)
    validation = ImageLoader(
        inputs.validation,
        inputs.preprocessing,
        labels=inputs.validation_labels,
        num_threads=num_threads,
        cache=training.cache_left,
        decodes_ahead=not plan.takes_all_cores,
        pins_memory=plan.device.type == "cuda",
        tolerance=tolerance,
        port=VALIDATION_PORT,
    )
    stack.enter_context(validation)
    training.check_readable()
    validation.check_readable()
    return training, validation


def _batch_augmentation(inputs: TrainingInputs, plan: ComputePlan) -> Augmentation | None:
    """The random steps, where a GPU does them: on a processor, one image at a time is faster."""
    augmentation = inputs.augmentation
    on_gpu = plan.device.type == "cuda" and augmentation is not None and augmentation.can_draw_batches()
    return augmentation if on_gpu else None


def _train(
    job: _Job,
    training: ImageLoader,
    validation: ImageLoader,
    stop_request: StopRequest,
    open_tracker: OpenTracker,
) -> tuple[RunSummary, BestEpoch]:
    predictor = Predictor(job.network, job.inputs.preprocessing, job.plan)
    state = TrainingState(predictor.network, build_optimizer(predictor.network, job.hyperparameters.learning_rate))
    environment = environment_facts(job.plan)
    data = model_facts(job.inputs, job.network) | data_facts(job.inputs, training, validation)
    checkpoints = CheckpointStore(job.output, job.fingerprint)
    with _tracked(job, open_tracker) as tracker:
        log_header("Train PyTorch Model", environment | data | {"Tracking": tracker.description})
        settle_repeatability(predictor, normalizes_lone_image=job.normalizes_lone_image)
        if checkpoints.restore(state):
            _log.info("Continuing from the checkpoint: epoch %d, after %d of its steps.", state.epoch, state.step)
        with _display(job, state) as display:
            run = TrainingRun(
                hyperparameters=job.hyperparameters,
                predictor=predictor,
                training=training,
                validation=validation,
                num_classes=len(job.inputs.training.classes),
                normalizes_lone_image=job.normalizes_lone_image,
                starts_from_scratch=not job.inputs.model.has_weights,
                checkpoints=checkpoints,
                checkpoint_seconds=settings().checkpoint_seconds,
                display=display,
                on_epoch_end=lambda record: tracker.log_metrics(_epoch_metrics(record), record.epoch),
                stop_request=stop_request,
                batch_augmentation=job.batch_augmentation,
            )
            reason = train(run, state)
        if state.best is None:
            raise AssertionError("training ends with a best epoch or an error")
        summary = RunSummary(
            history=tuple(state.history),
            best_epoch=state.best.epoch,
            stop_reason=reason,
            classes=job.inputs.training.classes,
            confusion=state.best.confusion.numpy(),
            parameters=job.hyperparameters.to_dict(),
            environment=environment,
            data=data,
            fingerprint=job.fingerprint,
            bad_files=_bad_files(training, TRAINING_PORT) + _bad_files(validation, VALIDATION_PORT),
        )
        tracker.log_metrics(_final_metrics(summary), len(summary.history))
    return summary, state.best


@contextmanager
def _tracked(job: _Job, open_tracker: OpenTracker) -> Iterator[Tracker]:
    """A tracker with the run's parameters, closed at the end; what did not work is said once."""
    tracker = open_tracker(job.output.name)
    has_failed, was_stopped = True, False
    try:
        parameters = job.hyperparameters.to_dict()
        tracker.log_parameters(parameters | {"model_name": job.inputs.model.architecture.name})
        yield tracker
        has_failed = False
    except InterruptedRunError:
        was_stopped = True
        raise
    finally:
        problem = tracker.close(failed=has_failed, is_urgent=was_stopped)
        if problem is not None:
            _log.warning("%s", problem)


def _display(job: _Job, state: TrainingState) -> RunDisplay:
    num_training = len(job.inputs.training)
    return open_display(
        settings(),
        num_epochs=job.hyperparameters.num_epochs,
        num_training=num_training,
        num_validation=len(job.inputs.validation),
        num_done=len(state.history) * num_training + state.step * job.hyperparameters.batch_size,
    )


def _epoch_metrics(record: EpochRecord) -> dict[str, float]:
    return {
        "train_loss": record.training.loss,
        "train_top1": record.training.top1,
        "train_top5": record.training.top5,
        "validation_loss": record.validation.loss,
        "validation_top1": record.validation.top1,
        "validation_top5": record.validation.top5,
        "learning_rate": record.learning_rate,
        "images_per_second": record.images_per_second,
    }


def _final_metrics(summary: RunSummary) -> dict[str, float]:
    return {
        "best_epoch": summary.best_epoch,
        "best_validation_top1": summary.best.validation.top1,
        "best_validation_loss": summary.best.validation.loss,
        "bad_files": len(summary.bad_files),
    }


def _bad_files(loader: ImageLoader, port: str) -> tuple[BadFile, ...]:
    return tuple(BadFile(port, str(bad.path), bad.reason) for bad in loader.bad_files)


def _write(job: _Job, summary: RunSummary, best: BestEpoch) -> None:
    with staged_output(job.output) as staging:
        write_trained_model(
            staging,
            architecture=job.inputs.model.architecture,
            state_dict=best.weights,
            classes=job.inputs.training.classes,
            preprocessing=job.inputs.preprocessing,
            meta={"visualization": [{"type": "html", "path": f"{REPORT_FOLDER}/index.html"}]},
        )
        write_report(staging / REPORT_FOLDER, summary)
    CheckpointStore(job.output, job.fingerprint).clear()
    validation = summary.best.validation
    _log.info("%s", summary.stop_reason)
    _log.info(
        "Best epoch: %d, with validation accuracy %.2f %% and loss %.4f over %d images.",
        summary.best_epoch,
        100 * validation.top1,
        validation.loss,
        validation.num_images,
    )
    if summary.bad_files:
        files = "1 image file" if len(summary.bad_files) == 1 else f"{len(summary.bad_files)} image files"
        _log.warning("%s could not be read; left out, and listed in the report.", files)
    _log.info("Model:  %s", job.output)
    _log.info("Report: %s", job.output / REPORT_FOLDER / "index.html")
