"""Train PyTorch Model from its opened inputs to its output: load, check, train and write, in order."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.images.budgets import default_cache_budget, default_read_threads
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.compute import Compute, choose_compute, environment_info
from pytorch_designer.inference.forward_memory import check_forward_memory
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.inference.torch_state import kept_torch_state
from pytorch_designer.models.loading import check_forward, network_for_classes, new_head
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.progress import log_header
from pytorch_designer.reporting.page import copy_page_for_studio
from pytorch_designer.seeds import derive_seed
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import Output, open_output
from pytorch_designer.system.stop_requests import StopRequest, stop_on_signals
from pytorch_designer.tracking.tracker import tracked_run
from pytorch_designer.training.checkpoint import CheckpointPolicy, CheckpointStore
from pytorch_designer.training.checkpoint_checks import RunExtent
from pytorch_designer.training.datasets import TRAINING_PORT, VALIDATION_PORT, LabeledDatasets
from pytorch_designer.training.display import log_continuation, log_result, open_display
from pytorch_designer.training.history import BadFileRecord, RunSummary
from pytorch_designer.training.inputs import TrainingInputs, load_inputs
from pytorch_designer.training.loop import train
from pytorch_designer.training.recipe import Hyperparameters, build_optimizer
from pytorch_designer.training.repeatability import check_repeatability
from pytorch_designer.training.report.earlier_result import REPORT_FOLDER, recorded_run
from pytorch_designer.training.report.report_images import gather_images
from pytorch_designer.training.report.training_report import PAGE_FILE, write_report
from pytorch_designer.training.run_info import (
    data_info,
    dataset_records,
    fingerprinted_settings,
    model_info,
    run_fingerprint,
    tracked_datasets,
    tracked_parameters,
    tracked_tags,
    weights_info,
)
from pytorch_designer.training.state import BestEpoch, TrainingRun, TrainingState, training_slices

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.tracking.tracker import OpenTracker, Tracker

_log = logging.getLogger(__name__)

_STUDIO_PAGE = "training_report.html"
_IMAGE_SIZE_ADVICE = (
    "Use a smaller batch_size, smaller images (Init Image Transformation resizes them), or a machine with more memory."
)


@dataclass(frozen=True)
class TrainingJob:
    """A run whose inputs are loaded and checked.

    Attributes:
        inputs: Model and datasets.
        hyperparameters: The five parameters.
        predictor: The network to train, on its device.
        batch_augmentation: Random transforms for the GPU; None where there are none, or the processor applies them.
        fingerprint: Hash of everything that determines the result.
    """

    inputs: TrainingInputs
    hyperparameters: Hyperparameters
    predictor: Predictor
    batch_augmentation: Augmentation | None
    fingerprint: str


def train_model(
    *,
    model: ModelDirectory,
    datasets: LabeledDatasets,
    trained_model: Path,
    hyperparameters: Hyperparameters,
    open_tracker: OpenTracker,
    replaced: frozenset[str] | None = None,
) -> None:
    """Train a model and write it to `trained_model`; see docs/reference/train_pytorch_model.md.

    A run that was stopped continues from its checkpoint below `trained_model`. A run that had already ended there with
    the same inputs is left as it is. Settings of torch that belong to the process are those of before afterwards.

    Args:
        model: Untrained or trained model, of the old or the new layout.
        datasets: Training and validation images, checked.
        trained_model: Output folder: new, empty, or that of the same run.
        hyperparameters: The five parameters.
        open_tracker: Opens the tracker once training begins, by the name of the run.
        replaced: Names of the entries of an earlier result in `trained_model`, which are removed before training, with
            its checkpoints; None to keep both.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    _refuse_several_processes()
    input_folders = {
        "the untrained model": model.root,
        "the training dataset": datasets.training.root,
        "the validation dataset": datasets.validation.root,
    }
    with kept_torch_state(), ExitStack() as stack:
        stop_request = stack.enter_context(stop_on_signals(interrupts_when_urgent=True))
        inputs = load_inputs(model, datasets, random_seed=hyperparameters.random_seed)
        job = prepare_job(inputs, hyperparameters)
        output = stack.enter_context(
            open_output(
                trained_model,
                apart_from=input_folders,
                is_finished=lambda: replaced is None and _is_result_of(job, trained_model),
                replaced=replaced,
            )
        )
        if output.is_finished:
            _log.info("%s already holds the result of this very run: nothing is left to do.", trained_model)
            copy_page_for_studio(trained_model / REPORT_FOLDER / PAGE_FILE, _STUDIO_PAGE)
            return
        training, validation = open_loaders(stack, job)
        _train(job, output, training, validation, stop_request=stop_request, open_tracker=open_tracker)


def _refuse_several_processes() -> None:
    world_size = os.environ.get("WORLD_SIZE", "").strip() or "1"
    if world_size != "1":
        raise UnsupportedEnvironmentError(
            f"The job was started as {world_size} processes, but this release trains in one process on one device.",
            where="WORLD_SIZE",
            advice="Set process_count_per_instance and instance_count to 1.",
        )


def prepare_job(inputs: TrainingInputs, hyperparameters: Hyperparameters) -> TrainingJob:
    """Choose device and precision, build the network with its initial weights, and check that it takes the images.

    Raises:
        InvalidDatasetError: The network does not take images of this size.
        ModuleOutOfMemoryError: The device has too little memory for a batch.
        UnsupportedEnvironmentError: This machine does not have the device.
    """
    preprocessing, datasets = inputs.preprocessing, inputs.datasets
    height, width = preprocessing.crop_height, preprocessing.crop_width
    compute = choose_compute(settings(), height=height, width=width)
    compute.activate()
    torch.manual_seed(derive_seed(hyperparameters.random_seed, "initial_weights"))
    network = network_for_classes(inputs.model, datasets.training.classes)
    with ThreadPoolExecutor(1) as thread:
        fingerprint = thread.submit(
            run_fingerprint,
            settings=fingerprinted_settings(inputs, hyperparameters, compute),
            weights=network.state_dict(),  # taken before the check, which replaces them for a moment
            training=datasets.training,
            validation=datasets.validation,
        )
        normalizes_lone_image = check_forward(network, height, width, inputs.model.architecture)
    num_images = min(hyperparameters.batch_size, max(1, len(datasets.training)))
    check_forward_memory(
        network, preprocessing, compute, num_images, where="the size of the images", advice=_IMAGE_SIZE_ADVICE
    )
    return TrainingJob(
        inputs=inputs,
        hyperparameters=hyperparameters,
        predictor=Predictor(
            network,
            preprocessing,
            compute,
            normalizes_lone_image=normalizes_lone_image,
            keeps_statistics=inputs.model.has_weights,
        ),
        batch_augmentation=_batch_augmentation(inputs, compute),
        fingerprint=fingerprint.result(),
    )


def _batch_augmentation(inputs: TrainingInputs, compute: Compute) -> Augmentation | None:
    """The random transforms, where a GPU applies them: on a processor, one image at a time is faster."""
    augmentation = inputs.augmentation
    on_gpu = compute.device.type == "cuda" and augmentation is not None and augmentation.can_draw_batches()
    return augmentation if on_gpu else None


def _is_result_of(job: TrainingJob, output: Path) -> bool:
    return recorded_run(output).get("fingerprint") == job.fingerprint


def open_loaders(stack: ExitStack, job: TrainingJob) -> tuple[ImageLoader, ImageLoader]:
    """Loaders of the training and the validation images, which share budgets of memory and disk, training first."""
    inputs, compute = job.inputs, job.predictor.compute
    num_threads, tolerance = default_read_threads(), settings().bad_image_tolerance
    training = ImageLoader(
        inputs.datasets.training,
        inputs.preprocessing,
        augmentation=inputs.augmentation,
        draws_later=job.batch_augmentation is not None,
        num_threads=num_threads,
        cache=default_cache_budget(),
        decodes_ahead=not compute.takes_all_cores,
        pins_memory=compute.device.type == "cuda",
        tolerance=tolerance,
        port=TRAINING_PORT,
    )
    stack.enter_context(training)
    validation = ImageLoader(
        inputs.datasets.validation,
        inputs.preprocessing,
        labels=inputs.datasets.validation_labels,
        num_threads=num_threads,
        cache=training.cache.left,
        decodes_ahead=not compute.takes_all_cores,
        pins_memory=compute.device.type == "cuda",
        tolerance=tolerance,
        port=VALIDATION_PORT,
    )
    stack.enter_context(validation)
    training.check_readable()
    validation.check_readable()
    return training, validation


def _train(
    job: TrainingJob,
    output: Output,
    training: ImageLoader,
    validation: ImageLoader,
    *,
    stop_request: StopRequest,
    open_tracker: OpenTracker,
) -> None:
    """Train and write the model, tracked: the model is there before the tracker is waited for."""
    predictor, parameters = job.predictor, job.hyperparameters.to_dict()
    model, classes = job.inputs.model, job.inputs.datasets.training.classes
    state = TrainingState(predictor.network, build_optimizer(predictor.network, job.hyperparameters.learning_rate))
    environment = environment_info(predictor.compute)
    data = model_info(job.inputs, predictor.network) | data_info(job.inputs, training, validation)
    store = CheckpointStore(output.path, job.fingerprint, _extent(job))
    is_continued = store.restore(state)
    with tracked_run(open_tracker, output.path.name, state.tracked_run) as tracker:
        _track_start(tracker, job, state)
        log_header("Train PyTorch Model", environment | data | {"Tracking": tracker.description})
        check_repeatability(predictor)
        if is_continued:
            log_continuation(state, job.hyperparameters)
        with open_display(job.hyperparameters, job.inputs.datasets, state) as display:
            display.show_past(state.history)
            run = TrainingRun(
                hyperparameters=job.hyperparameters,
                predictor=predictor,
                training=training,
                validation=validation,
                num_classes=len(classes),
                starts_from_scratch=not model.has_weights,
                display=display,
                on_epoch_end=lambda record: tracker.log_metrics(record.tracked_metrics(), record.epoch),
                stop_request=stop_request,
                batch_augmentation=job.batch_augmentation,
                new_head=new_head(model, predictor.network, classes),
            )
            reason = train(run, state, CheckpointPolicy(store, settings().checkpoint_seconds))
        if state.best is None:
            raise AssertionError("training ends with a best epoch or an error")
        summary = RunSummary(
            history=tuple(state.history),
            best_epoch=state.best.epoch,
            stop_reason=reason,
            classes=classes,
            confusion=state.best.confusion.numpy(),
            parameters=parameters,
            environment=environment,
            data=data,
            fingerprint=job.fingerprint,
            bad_files=_bad_files(training, TRAINING_PORT) + _bad_files(validation, VALIDATION_PORT),
        )
        tracker.log_metrics(summary.tracked_metrics(), len(summary.history))
        _write(job, output, summary, state.best)
        tracker.log_result(output.path, output.path / REPORT_FOLDER)


def _track_start(tracker: Tracker, job: TrainingJob, state: TrainingState) -> None:
    """Record what the run is given, and the epochs of the processes before this one, as far as they are not there."""
    if tracker.run is None:
        return
    state.tracked_run = tracker.run
    tracker.log_parameters(tracked_parameters(job.inputs, job.hyperparameters, job.predictor.compute))
    tags = tracked_tags(job.inputs, job.predictor.compute)
    for name, value in tags.items():
        tracker.set_tag(name, value)
    for dataset in tracked_datasets(job.inputs, tags):
        tracker.log_dataset(dataset)
    for record in state.history:
        tracker.log_metrics(record.tracked_metrics(), record.epoch, is_past=True)


def _extent(job: TrainingJob) -> RunExtent:
    parameters, datasets = job.hyperparameters, job.inputs.datasets
    return RunExtent(
        num_epochs=parameters.num_epochs,
        num_steps=len(training_slices(len(datasets.training), parameters.batch_size)),
        num_classes=len(datasets.training.classes),
        num_validated=len(datasets.validation),
    )


def _bad_files(loader: ImageLoader, port: str) -> tuple[BadFileRecord, ...]:
    return tuple(BadFileRecord(port, bad.file, bad.reason) for bad in loader.bad_files)


def _write(job: TrainingJob, output: Output, summary: RunSummary, best: BestEpoch) -> None:
    with output.stage() as folder:
        write_trained_model(
            folder,
            architecture=job.inputs.model.architecture,
            state_dict=best.weights,
            classes=job.inputs.datasets.training.classes,
            preprocessing=job.inputs.preprocessing,
            meta={"visualization": [{"type": "html", "path": f"{REPORT_FOLDER}/{PAGE_FILE}"}]},
        )
        _write_report(folder / REPORT_FOLDER, summary, job.inputs, best)
    copy_page_for_studio(output.path / REPORT_FOLDER / PAGE_FILE, _STUDIO_PAGE)
    log_result(summary, model=output.path, report=output.path / REPORT_FOLDER / PAGE_FILE)


def _write_report(folder: Path, summary: RunSummary, inputs: TrainingInputs, best: BestEpoch) -> None:
    """Write the report; where it cannot be made, the model is written without it."""
    try:
        images = None if best.outcomes is None else gather_images(inputs.datasets, inputs.preprocessing, best.outcomes)
        data, records = summary.data | weights_info(best.weights), dataset_records(inputs.datasets)
        write_report(folder, replace(summary, data=data, datasets=records), images)
    except OSError:  # the disk is full: the run ends by name, and can be repeated
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the trained model is worth more
        _log.warning("The report is not complete: %s: %s", type(error).__name__, error)
